//! `holdfast-director --config DIR/director.toml [check-config]`
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::telemetry::{Logging, init};
use director::catalog::Durability;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The Holdfast Director: schedules jobs, keeps the catalog, tells daemons what to do.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration; its folder is the state folder, conf.d/*.toml beside it belong to it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows everything that is wrong with the configuration; exit code 0 = nothing is.
    CheckConfig,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Command::CheckConfig) => director::config::load(&arguments.config)
            .map(|_| ())
            .map_err(Into::into),
        None => serve(&arguments.config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

#[allow(
    clippy::print_stderr,
    reason = "the log may be filtered, and check-config has none"
)]
fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("holdfast-director: {error:#}");
    ExitCode::FAILURE
}

fn serve(config: &Path) -> anyhow::Result<()> {
    init(&Logging::default())?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let stop = common::shutdown::on_signals()?;
        director::server::run(config, Durability::Required, &stop).await?;
        Ok(())
    })
}
