//! `up` and `down`: what was done and how to go on.

use std::fmt::Write;

use super::Context;
use crate::arguments::{DownArgs, UpArgs};
use crate::machine;
use crate::outcome::{CommandError, Outcome};
use crate::show::Grid;

pub(super) async fn up(context: &Context, arguments: &UpArgs) -> Result<Outcome, CommandError> {
    let installation = Box::pin(machine::up(context.layout(), arguments, &context.screen)).await?;
    context.screen.answer(&installation, |i, _| up_text(i))?;
    Ok(Outcome::Ok)
}

fn up_text(installation: &machine::Installation) -> String {
    let mut grid = Grid::new(&["daemon", "name", ">pid", "listens on", "log"]);
    for d in &installation.daemons {
        grid.row(&[
            d.daemon.to_owned(),
            d.name.clone(),
            d.pid.to_string(),
            d.listen.join(", "),
            d.log.display().to_string(),
        ]);
    }
    let started = installation.daemons.iter().filter(|d| d.started).count();
    let said = match started {
        0 => "all was running already".to_owned(),
        n => format!("{n} of {} started", installation.daemons.len()),
    };
    let mut text = format!(
        "{}\n\n{said}, in {}\n",
        grid.text(),
        installation.root.display()
    );
    if installation.console.is_some() {
        text.push_str("\nnext:\n");
        let mut step = |command: &str, what: &str| {
            let _ = writeln!(text, "  {command:50} {what}");
        };
        step(
            "holdfast protect /etc --daily 21:00 --keep 30d",
            "a job with its FileSet and schedule",
        );
        step("holdfast status", "what runs, what is stored");
        if installation.loopback_only {
            step(
                "holdfast down; holdfast up --listen ADDRESS",
                "to back up other machines, too",
            );
        } else {
            step("holdfast client add NAME", "to back up another machine");
        }
        let root = &installation.root;
        if *root != machine::default_root() {
            let _ = write!(
                text,
                "\nthis is not the default folder: add --root {0} or say  export HOLDFAST_ROOT={0}",
                root.display()
            );
        }
    }
    text.trim_end().to_owned()
}

pub(super) async fn down(context: &Context, arguments: &DownArgs) -> Result<Outcome, CommandError> {
    let done = machine::down(&context.layout(), arguments).await?;
    context.screen.answer(&done, |done, _| {
        let lines: Vec<String> = done
            .iter()
            .map(|d| match d.pid {
                Some(pid) => format!("{}: stopped (pid {pid})", d.daemon),
                None => format!("{}: was not running", d.daemon),
            })
            .collect();
        lines.join("\n")
    })?;
    Ok(Outcome::Ok)
}
