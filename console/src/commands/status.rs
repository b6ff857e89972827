//! `status`: the installation on one page. Also says what runs on this machine when the Director does not answer.

use common::api::status::{Alert, Daemon as Known, Status};
use common::ids::Role;
use serde::Serialize;

use super::Context;
use crate::director::DirectorError;
use crate::machine::{Daemon, Layout, running};
use crate::outcome::{CommandError, Outcome};
use crate::show::{Grid, Zone, count, difference, duration, facts, plural, size};

/// A daemon of this machine.
#[derive(Debug, Serialize)]
struct Here {
    daemon: &'static str,
    pid: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    status: Status,
    this_machine: Vec<Here>,
}

pub(super) async fn status(context: &Context) -> Result<Outcome, CommandError> {
    let here = this_machine(&context.layout());
    let status = match asked(context).await {
        Ok(status) => status,
        // A machine with a client or a Storage Daemon alone has no console of its own.
        Err(CommandError::Director(DirectorError::NoAccess { .. }))
            if !here.is_empty() && !context.layout().config(Daemon::Director).is_file() =>
        {
            context.screen.answer(&here, |here, _| {
                format!(
                    "{}\nits Director is on another machine: ask there for the rest",
                    here_text(here)
                )
            })?;
            let all = here.iter().all(|h| h.pid.is_some());
            return Ok(if all { Outcome::Ok } else { Outcome::Warnings });
        }
        Err(e) => {
            if !context.screen.is_json() && !here.is_empty() {
                context.screen.text(&here_text(&here))?;
            }
            return Err(e);
        }
    };
    let outcome = judge(&status);
    let whole = Whole {
        status,
        this_machine: here,
    };
    context.screen.answer(&whole, status_text)?;
    Ok(outcome)
}

async fn asked(context: &Context) -> Result<Status, CommandError> {
    Ok(context.director().await?.status().await?)
}

fn this_machine(layout: &Layout) -> Vec<Here> {
    Daemon::ALL
        .into_iter()
        .filter(|daemon| layout.config(*daemon).is_file())
        .map(|daemon| Here {
            daemon: daemon.title(),
            pid: running(layout, daemon),
        })
        .collect()
}

/// Warnings when a person should look: an alert, a daemon that is away, a catalog that does not answer.
fn judge(status: &Status) -> Outcome {
    let fine = status.alerts.is_empty()
        && status.catalog.reachable
        && status.daemons.iter().all(|d| d.connected);
    if fine { Outcome::Ok } else { Outcome::Warnings }
}

fn status_text(whole: &Whole, zone: &Zone) -> String {
    let status = &whole.status;
    let mut parts = vec![head_text(status, zone), daemons_text(&status.daemons, zone)];
    if !status.running.is_empty() {
        parts.push(super::runs::table(&status.running, zone));
    }
    if !status.alerts.is_empty() {
        parts.push(
            status
                .alerts
                .iter()
                .map(alert_text)
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
    if !whole.this_machine.is_empty() {
        parts.push(here_text(&whole.this_machine));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn head_text(status: &Status, zone: &Zone) -> String {
    let (d, c, s) = (&status.director, &status.catalog, &status.stored);
    let reach = if d.loopback_only {
        " (this machine only)"
    } else {
        ""
    };
    let catalog = if c.reachable {
        size(c.size_bytes)
    } else {
        "does not answer".to_owned()
    };
    facts(&[
        (
            "Director",
            format!(
                "{}, up {}, {}{reach}",
                d.version,
                duration(d.uptime_s),
                d.listen.join(", ")
            ),
        ),
        (
            "its time",
            format!("{} (zone {})", zone.full(d.now), d.zone),
        ),
        (
            "catalog",
            format!("{} PostgreSQL {}, {catalog}", c.kind, c.version),
        ),
        (
            "stored",
            format!(
                "{} of {}, {} on {}, {} free",
                plural(s.snapshots, "snapshot", "snapshots"),
                size(s.protected_bytes),
                size(s.volume_bytes),
                plural(s.volumes, "volume", "volumes"),
                size(s.free_bytes)
            ),
        ),
        (
            "runs",
            match (status.running.len() as u64, status.queued) {
                (0, _) => "none is going on".to_owned(),
                (all, queued) => format!(
                    "{} going on, {} waiting",
                    count(all.saturating_sub(queued)),
                    count(queued)
                ),
            },
        ),
    ])
}

fn daemons_text(daemons: &[Known], zone: &Zone) -> String {
    if daemons.is_empty() {
        return String::new();
    }
    let mut grid = Grid::new(&[
        "daemon",
        "name",
        "state",
        "last seen",
        "clock",
        "version",
        "host",
    ]);
    for d in daemons {
        let role = if d.role == Role::File {
            "client"
        } else {
            "storage"
        };
        grid.row(&[
            role.to_owned(),
            d.name.clone(),
            if d.connected { "connected" } else { "away" }.to_owned(),
            zone.or(d.last_seen, "never"),
            d.clock_difference_ms.map(difference).unwrap_or_default(),
            d.version.clone(),
            d.host.clone(),
        ]);
    }
    grid.text()
}

fn alert_text(alert: &Alert) -> String {
    let word = match alert.severity {
        common::api::runs::Severity::Error => "error",
        _ => "warning",
    };
    let remedy = if alert.remedy.is_empty() {
        String::new()
    } else {
        format!("\n  {}", alert.remedy)
    };
    format!("{word}: {}: {}{remedy}", alert.object, alert.text)
}

fn here_text(here: &[Here]) -> String {
    let words: Vec<String> = here
        .iter()
        .map(|h| match h.pid {
            Some(pid) => format!("{} runs (pid {pid})", h.daemon),
            None => format!("{} does not run", h.daemon),
        })
        .collect();
    format!("this machine: {}", words.join(", "))
}
