//! `client` and `storage`: machines join, are checked, replaced, shut out.

use std::time::{Duration, Instant};

use common::api::clients::{Client, ClientCheck, Enrolled, Enrolment, NewClient, Revoke};
use common::api::storages::{NewStorage, Storage};

use super::Context;
use crate::arguments::{ClientAdd, ClientCommand, ClientRevoke, StorageAdd, StorageCommand};
use crate::director::Director;
use crate::director::api::{MOST, percent};
use crate::outcome::{CommandError, Outcome};
use crate::show::{Grid, Zone, difference, facts, size};

/// How often is asked whether a client has connected.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn client(
    context: &Context,
    command: &ClientCommand,
) -> Result<Outcome, CommandError> {
    let director = context.director().await?;
    match command {
        ClientCommand::Add(a) => {
            reachable(&director, a.local).await?;
            let new = NewClient {
                name: a.name.clone(),
                local: a.local,
            };
            let made = director.post("/clients", &new).await?;
            joined(context, &director, a, &made).await
        }
        ClientCommand::Replace(a) => {
            reachable(&director, a.local).await?;
            let made = director
                .post(
                    &format!("/clients/{}/replace", percent(&a.name)),
                    &serde_json::json!({}),
                )
                .await?;
            joined(context, &director, a, &made).await
        }
        ClientCommand::List => list(context, &director).await,
        ClientCommand::Check(a) => {
            let check = director.check_client(&a.name).await?;
            context.screen.answer(&check, check_text)?;
            Ok(judge(&check))
        }
        ClientCommand::Revoke(a) => revoke(context, &director, a).await,
    }
}

/// Refuses to make a token that no other machine could use.
async fn reachable(director: &Director, local: bool) -> Result<(), CommandError> {
    if local || !director.status().await?.director.loopback_only {
        return Ok(());
    }
    Err(CommandError::Refused(
        "the Director listens on loopback only: another machine could not connect\n  `holdfast down`, then `holdfast up --listen ADDRESS` with an address of this machine that the other one reaches\n  (--local when the daemon is to run on this machine)"
            .into(),
    ))
}

async fn joined(
    context: &Context,
    director: &Director,
    a: &ClientAdd,
    made: &Enrolment,
) -> Result<Outcome, CommandError> {
    let command = format!("holdfast up --only client --token {}", made.token);
    let before = director
        .client(&a.name)
        .await
        .ok()
        .and_then(|c| c.last_seen);
    if context.screen.is_json() {
        if a.no_wait {
            context.screen.json(made)?;
            return Ok(Outcome::Ok);
        }
        context.screen.json_line(made)?;
    } else {
        let on = if a.local {
            "on this machine"
        } else {
            "on the other machine, as root"
        };
        context.screen.text(&format!(
            "type {on}:\n\n  {command}\n\nthe token works once, until {}; it names {}",
            context.screen.zone.full(made.expires_at),
            made.addresses.join(", ")
        ))?;
    }
    if a.no_wait {
        return Ok(Outcome::Ok);
    }
    context.screen.note(&format!(
        "\nwaiting until {} has connected (Ctrl-C: it may also connect later)",
        a.name
    ));
    let limit = Instant::now() + Duration::from_secs(a.timeout * 60);
    loop {
        let client = director.client(&a.name).await?;
        // A client that is replaced may still be connected by its old certificate.
        if client.connected && client.enrolled == Enrolled::Enrolled && client.last_seen != before {
            break;
        }
        if Instant::now() > limit {
            return Err(CommandError::Refused(format!(
                "{0} has not connected within {1} minutes\n  the token still works; `holdfast client check {0}` looks again",
                a.name, a.timeout
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
    let check = director.check_client(&a.name).await?;
    context.screen.answer(&check, check_text)?;
    Ok(judge(&check))
}

fn judge(check: &ClientCheck) -> Outcome {
    match (check.reachable, check.remarks.is_empty()) {
        (false, _) => Outcome::Error,
        (true, false) => Outcome::Warnings,
        (true, true) => Outcome::Ok,
    }
}

fn check_text(check: &ClientCheck, zone: &Zone) -> String {
    let reach = match (check.reachable, check.round_trip_ms) {
        (true, Some(ms)) => format!("yes, answers in {ms} ms"),
        (true, None) => "yes".to_owned(),
        (false, _) => format!("no, last seen {}", zone.or(check.last_seen, "never")),
    };
    let rights = match check.privileged {
        Some(true) => "reads and restores everything",
        Some(false) => "only what its user may (not root)",
        None => "",
    };
    let table = facts(&[
        ("client", check.name.clone()),
        ("reachable", reach),
        (
            "clock",
            check
                .clock_difference_ms
                .map(difference)
                .unwrap_or_default(),
        ),
        ("rights", rights.to_owned()),
    ]);
    let remarks: String = check
        .remarks
        .iter()
        .map(|r| format!("\nwarning: {r}"))
        .collect();
    table + &remarks
}

async fn list(context: &Context, director: &Director) -> Result<Outcome, CommandError> {
    let clients = director.list::<Client>("/clients", &(), MOST).await?.items;
    context.screen.answer(&clients, |clients, zone| {
        if clients.is_empty() {
            return "no clients yet: `holdfast client add NAME`".to_owned();
        }
        let mut grid = Grid::new(&[
            "client",
            "state",
            "last seen",
            "clock",
            "version",
            "host",
            "jobs",
        ]);
        for c in clients {
            grid.row(&[
                c.name.clone(),
                state(c.enrolled, c.connected).to_owned(),
                zone.or(c.last_seen, "never"),
                c.clock_difference_ms.map(difference).unwrap_or_default(),
                c.version.clone(),
                c.host.clone(),
                c.jobs.join(", "),
            ]);
        }
        grid.text()
    })?;
    Ok(Outcome::Ok)
}

fn state(enrolled: Enrolled, connected: bool) -> &'static str {
    match (enrolled, connected) {
        (Enrolled::Waiting, _) => "not joined yet",
        (Enrolled::Revoked, _) => "revoked",
        (Enrolled::Enrolled, true) => "connected",
        (Enrolled::Enrolled, false) => "away",
    }
}

async fn revoke(
    context: &Context,
    director: &Director,
    a: &ClientRevoke,
) -> Result<Outcome, CommandError> {
    let body = Revoke {
        reason: a.reason.clone(),
    };
    let client: Client = director
        .post(&format!("/clients/{}/revoke", percent(&a.name)), &body)
        .await?;
    context.screen.answer(&client, |c, _| {
        format!("{0} is shut out; its snapshots stay\n`holdfast client replace {0}` lets a new machine take its name", c.name)
    })?;
    Ok(Outcome::Ok)
}

pub(super) async fn storage(
    context: &Context,
    command: &StorageCommand,
) -> Result<Outcome, CommandError> {
    let director = context.director().await?;
    match command {
        StorageCommand::Add(a) => storage_add(context, &director, a).await,
        StorageCommand::List => storage_list(context, &director).await,
    }
}

async fn storage_add(
    context: &Context,
    director: &Director,
    a: &StorageAdd,
) -> Result<Outcome, CommandError> {
    reachable(director, a.local).await?;
    let new = NewStorage {
        name: a.name.clone(),
        local: a.local,
        replace: a.replace,
    };
    let made: Enrolment = director.post("/storages", &new).await?;
    let on = if a.local { "this" } else { "the other" };
    context.screen.answer(&made, |made, zone| {
        format!(
            "type on {on} machine:\n\n  holdfast up --only storage --listen ITS-ADDRESS --token {}\n\nthe token works once, until {}\nthen name the storage in a pool: storage = {:?}",
            made.token,
            zone.full(made.expires_at),
            made.name
        )
    })?;
    Ok(Outcome::Ok)
}

async fn storage_list(context: &Context, director: &Director) -> Result<Outcome, CommandError> {
    let storages = director
        .list::<Storage>("/storages", &(), MOST)
        .await?
        .items;
    context.screen.answer(&storages, |storages, zone| {
        let mut grid = Grid::new(&[
            "storage",
            "state",
            "last seen",
            ">volumes",
            ">used",
            ">free",
            "pools",
            "addresses",
        ]);
        for s in storages {
            grid.row(&[
                s.name.clone(),
                state(s.enrolled, s.connected).to_owned(),
                zone.or(s.last_seen, "never"),
                s.volumes.to_string(),
                size(s.volume_bytes),
                s.free_bytes.map(size).unwrap_or_default(),
                s.pools.join(", "),
                s.addresses.join(", "),
            ]);
        }
        grid.text()
    })?;
    Ok(Outcome::Ok)
}
