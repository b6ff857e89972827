//! `check-config` and `reload`.

use common::api::config::ConfigReport;
use common::api::problem::Finding;

use super::Context;
use crate::director::DirectorError;
use crate::machine::{Daemon, Programs};
use crate::outcome::{CommandError, Outcome};

pub(super) async fn check(context: &Context) -> Result<Outcome, CommandError> {
    match ask(context, "/config/check").await {
        // A Director that does not run may have been stopped by the very error that is looked for.
        Err(CommandError::Director(
            DirectorError::Unreachable { .. } | DirectorError::NoAccess { .. },
        )) if context.layout().config(Daemon::Director).is_file() => by_program(context).await,
        other => other,
    }
}

pub(super) async fn reload(context: &Context) -> Result<Outcome, CommandError> {
    ask(context, "/config/reload").await
}

async fn ask(context: &Context, route: &str) -> Result<Outcome, CommandError> {
    let report: ConfigReport = context
        .director()
        .await?
        .post(route, &serde_json::json!({}))
        .await?;
    context.screen.answer(&report, |r, _| text(r))?;
    Ok(match (report.ok, report.warnings.is_empty()) {
        (false, _) => Outcome::Error,
        (true, false) => Outcome::Warnings,
        (true, true) => Outcome::Ok,
    })
}

fn text(report: &ConfigReport) -> String {
    let mut lines = Vec::new();
    let mut findings = |word: &str, some: &[Finding]| {
        for f in some {
            lines.push(format!("{}: {word}: {}", f.place, f.message));
            if !f.remedy.is_empty() {
                lines.push(format!("  {}", f.remedy));
            }
        }
    };
    findings("error", &report.errors);
    findings("warning", &report.warnings);
    lines.extend(
        report
            .changes
            .iter()
            .map(|change| format!("change: {change}")),
    );
    lines.push(
        match (report.ok, report.applied, report.changes.is_empty()) {
            (false, ..) => "the configuration has errors; nothing was changed".to_owned(),
            (true, true, _) => "the configuration is in use".to_owned(),
            (true, false, true) => "no errors; it is what is in use".to_owned(),
            (true, false, false) => {
                "no errors; `holdfast reload` takes the changes into use".to_owned()
            }
        },
    );
    lines.join("\n")
}

/// The Director's own check, with its output as it comes.
async fn by_program(context: &Context) -> Result<Outcome, CommandError> {
    let program = Programs::locate()?.of(Daemon::Director)?;
    context
        .screen
        .note("the Director does not run: its program checks the files");
    let status = tokio::process::Command::new(program)
        .arg("--config")
        .arg(context.layout().config(Daemon::Director))
        .arg("check-config")
        .status()
        .await?;
    Ok(match status.code() {
        Some(0) => Outcome::Ok,
        Some(1) => Outcome::Warnings,
        _ => Outcome::Error,
    })
}
