//! `protect`, `estimate`, `fileset test`: what is saved, before it is.

use common::api::check::{Estimate, EstimateRequest, FilesetTest, FilesetVerdict};
use common::api::protect::{Protect, Protected};

use super::Context;
use crate::arguments::{EstimateArgs, FilesetCommand, ProtectArgs};
use crate::director::api::percent;
use crate::outcome::{CommandError, Outcome};
use crate::show::{Zone, count, facts, size};
use crate::typed::{parse_path, parse_place};

pub(super) async fn protect(context: &Context, a: &ProtectArgs) -> Result<Outcome, CommandError> {
    let dirs = a
        .dirs
        .iter()
        .map(|dir| parse_path(dir))
        .collect::<Result<Vec<_>, _>>()?;
    let request = Protect {
        dirs,
        name: a.name.clone(),
        client: a.client.clone(),
        daily: a.daily.clone(),
        keep: a.keep.clone(),
        rules: a
            .exclude
            .iter()
            .map(|glob| format!("exclude {glob}"))
            .collect(),
    };
    let made: Protected = context
        .director()
        .await?
        .post("/protections", &request)
        .await?;
    context.screen.answer(&made, protected_text)?;
    Ok(if made.remarks.is_empty() {
        Outcome::Ok
    } else {
        Outcome::Warnings
    })
}

fn protected_text(made: &Protected, zone: &Zone) -> String {
    let mut text = super::runs::job_facts(&made.job, zone);
    text.push_str("\n\nwritten and in use:\n");
    text.extend(made.files.iter().map(|f| format!("  {f}\n")));
    text.extend(made.remarks.iter().map(|r| format!("warning: {r}\n")));
    let job = &made.job.name;
    text.push_str(&format!(
        "\nnext:\n  holdfast estimate {job}      what it would save\n  holdfast run {job} --wait    the first backup, now\n  holdfast runs --job {job}    how its runs went"
    ));
    text
}

pub(super) async fn estimate(context: &Context, a: &EstimateArgs) -> Result<Outcome, CommandError> {
    let request = EstimateRequest {
        job: a.job.clone(),
        client: a.client.clone(),
        list: a.list,
    };
    let estimate: Estimate = context
        .director()
        .await?
        .post("/estimates", &request)
        .await?;
    context.screen.answer(&estimate, |e, _| estimate_text(e))?;
    Ok(if estimate.remarks.is_empty() {
        Outcome::Ok
    } else {
        Outcome::Warnings
    })
}

fn estimate_text(e: &Estimate) -> String {
    let mut lines: Vec<String> = e.paths.iter().map(ToString::to_string).collect();
    lines.push(facts(&[
        ("client", e.client.clone()),
        ("files", count(e.files)),
        ("directories", count(e.directories)),
        ("entries", count(e.entries)),
        ("bytes", size(e.bytes)),
    ]));
    lines.extend(e.remarks.iter().map(|r| format!("warning: {r}")));
    lines.join("\n")
}

pub(super) async fn fileset(
    context: &Context,
    command: &FilesetCommand,
) -> Result<Outcome, CommandError> {
    let FilesetCommand::Test(a) = command;
    let place = parse_place(&a.place)?;
    let (Some(client), Some(path)) = (place.client, place.path) else {
        return Err(CommandError::Refused(
            "which file? type client:/path".into(),
        ));
    };
    let request = FilesetTest { client, path };
    let route = format!("/filesets/{}/test", percent(&a.fileset));
    let verdict: FilesetVerdict = context.director().await?.post(&route, &request).await?;
    context.screen.answer(&verdict, |v, _| {
        let word = if v.saved { "saved" } else { "not saved" };
        format!("{}: {word}: {}", v.path, v.reason)
    })?;
    Ok(Outcome::Ok)
}
