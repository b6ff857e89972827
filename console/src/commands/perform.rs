//! From words to exit code: parses, performs, says what went wrong.
//!
//! Invariant: exit code 2 never without a sentence on standard error (or a JSON object with `error`).

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use super::context::Context;
use super::{clients, config, files, find, machine, protect, restore, runs, status, users};
use crate::arguments::{Arguments, Command, RunCommand};
use crate::outcome::{CommandError, Outcome};

/// Ended by Ctrl-C, as shells count it.
const INTERRUPTED: u8 = 130;

/// The whole program: parses, does, says how it went.
#[must_use]
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(e) => {
            // Help and version are no errors; nobody is left to be told when the output is gone.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() {
                Outcome::Error.code()
            } else {
                0
            });
        }
    };
    if let Command::Detach(detach) = &arguments.command {
        let e = crate::machine::become_daemon(&detach.program);
        let _ = writeln!(std::io::stderr(), "cannot start {:?}: {e}", detach.program);
        return Outcome::Error.into();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "cannot start: {e}");
            return Outcome::Error.into();
        }
    };
    let code = runtime.block_on(interruptible(arguments));
    // A name service that does not answer must not hold the end up.
    runtime.shutdown_background();
    code
}

async fn interruptible(arguments: Arguments) -> ExitCode {
    let context = Context::new(&arguments.common);
    let done = tokio::select! {
        done = Box::pin(perform(&context, arguments.command)) => done,
        _ = tokio::signal::ctrl_c() => {
            context.say_interrupted();
            return ExitCode::from(INTERRUPTED);
        }
    };
    match done {
        Ok(outcome) => outcome.into(),
        Err(e) if e.reader_left() => ExitCode::SUCCESS,
        Err(e) => {
            if context.screen.is_json() {
                let _ = context.screen.json(&e.to_json());
            } else {
                context.screen.note(&format!("holdfast: {e}"));
            }
            Outcome::Error.into()
        }
    }
}

async fn perform(context: &Context, command: Command) -> Result<Outcome, CommandError> {
    match command {
        Command::Up(a) => machine::up(context, &a).await,
        Command::Down(a) => machine::down(context, &a).await,
        Command::Status => status::status(context).await,
        Command::CheckConfig => config::check(context).await,
        Command::Reload => config::reload(context).await,
        Command::Client(c) => clients::client(context, &c).await,
        Command::Storage(c) => clients::storage(context, &c).await,
        Command::User(c) => users::user(context, &c).await,
        Command::Protect(a) => protect::protect(context, &a).await,
        Command::Jobs => runs::jobs(context).await,
        Command::Run(a) => match a.command {
            None => runs::start(context, &a).await,
            Some(RunCommand::Show(a)) => runs::show(context, &a).await,
            Some(RunCommand::Log(a)) => runs::log(context, &a).await,
            Some(RunCommand::Cancel(a)) => runs::cancel(context, &a).await,
        },
        Command::Runs(a) => runs::list(context, &a).await,
        Command::Show(a) => runs::show(context, &a).await,
        Command::Log(a) => runs::log(context, &a).await,
        Command::Cancel(a) => runs::cancel(context, &a).await,
        Command::Snapshots(a) => files::snapshots(context, &a).await,
        Command::Ls(a) => files::ls(context, &a).await,
        Command::Find(a) => find::find(context, &a).await,
        Command::Versions(a) => find::versions(context, &a).await,
        Command::Estimate(a) => protect::estimate(context, &a).await,
        Command::Fileset(c) => protect::fileset(context, &c).await,
        Command::Restore(a) => restore::restore(context, a).await,
        Command::Completion(a) => {
            let mut script = Vec::new();
            clap_complete::generate(a.shell, &mut Arguments::command(), "holdfast", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(Outcome::Ok)
        }
        // Handled before the runtime was started: a daemon must not inherit it.
        Command::Detach(_) => Ok(Outcome::Error),
    }
}
