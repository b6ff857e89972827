//! `/ready` and `/status`: the whole installation on one page.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta};
use common::api::runs::Severity;
use common::api::status::{Alert, CatalogStatus, Daemon, DirectorStatus, Ready, Status, Stored};
use common::ids::Role;

use super::app::{App, now};
use super::error::ApiError;
use super::runs::{Detail, shown};
use crate::catalog::{RunFilter, RunState};

/// Daemons and runs on the page.
const SHOWN: usize = 1000;
/// Jobs that failed within this are worth an alert.
const RECENT: TimeDelta = TimeDelta::hours(24);
/// Less free room than this share of the file system is worth an alert.
const LOW_ROOM_PERCENT: u64 = 5;

pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let ready = *app.ready.borrow();
    let answer = Ready {
        product: "holdfast-director".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready,
        waiting: if ready {
            String::new()
        } else {
            "starting or stopping".to_owned()
        },
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(answer))
}

pub(super) async fn status(State(app): State<App>) -> Result<Json<Status>, ApiError> {
    let config = app.config.get();
    let summary = app.catalog.summary().await?;
    let unfinished = app.catalog.unfinished_runs().await?;
    let queued = unfinished
        .iter()
        .filter(|r| matches!(r.state, RunState::Queued | RunState::Waiting))
        .count();
    let mut running = Vec::new();
    for row in unfinished.into_iter().take(SHOWN) {
        running.push(shown(&app, row, Detail::List).await?);
    }
    let space = app.catalog.storage_space().await?;
    let daemons = daemons(&app).await?;
    let alerts = alerts(&app, &daemons, &space).await?;
    let at = now();
    Ok(Json(Status {
        director: DirectorStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: at,
            started_at: app.started_at,
            uptime_s: u64::try_from((at - app.started_at).num_seconds()).unwrap_or(0),
            zone: config.director.zone.iana_name().unwrap_or("UTC").to_owned(),
            listen: app.listen.clone(),
            addresses: app.addresses.clone(),
            loopback_only: app.loopback_only(),
            root_sha256: hex::encode(app.authority.keys().root_sha256()),
        },
        catalog: CatalogStatus {
            kind: if config.catalog.url.is_some() {
                "external"
            } else {
                "embedded"
            }
            .to_owned(),
            version: summary.server_version,
            size_bytes: summary.catalog_bytes,
            reachable: true,
        },
        daemons,
        running,
        queued: queued as u64,
        stored: Stored {
            volumes: summary.volumes,
            volume_bytes: summary.volume_bytes,
            snapshots: summary.snapshots,
            protected_bytes: summary.protected_bytes,
            free_bytes: space.iter().map(|s| s.free_bytes).sum(),
        },
        alerts,
    }))
}

async fn daemons(app: &App) -> Result<Vec<Daemon>, ApiError> {
    let mut daemons = Vec::new();
    for role in [Role::Storage, Role::File] {
        let mut known = app.catalog.daemons(Some(role)).await?;
        known.retain(|d| d.revoked_at.is_none());
        known.sort_by(|a, b| a.name.cmp(&b.name));
        for daemon in known {
            let live = app.registry.get(daemon.identity);
            daemons.push(Daemon {
                role,
                connected: live.is_some(),
                last_seen: match &live {
                    Some(live) => DateTime::from_timestamp_millis(live.seen_ms()),
                    None => daemon.last_seen_at,
                },
                clock_difference_ms: live.as_ref().map(|l| l.clock_difference_ms),
                name: daemon.name,
                host: daemon.host,
                version: daemon.version,
            });
        }
    }
    daemons.truncate(SHOWN);
    Ok(daemons)
}

async fn alerts(
    app: &App,
    daemons: &[Daemon],
    space: &[crate::catalog::StorageSpace],
) -> Result<Vec<Alert>, ApiError> {
    let mut alerts = Vec::new();
    for daemon in daemons.iter().filter(|d| !d.connected) {
        let word = if daemon.role == Role::Storage {
            "storage"
        } else {
            "client"
        };
        alerts.push(Alert {
            severity: if daemon.role == Role::Storage {
                Severity::Error
            } else {
                Severity::Warning
            },
            object: format!("{word} {}", daemon.name),
            text: "is not connected".to_owned(),
            remedy: "start its daemon and see its log".to_owned(),
            since: daemon.last_seen,
        });
    }
    for room in space.iter().filter(|s| {
        s.free_bytes.saturating_mul(100) < s.total_bytes.saturating_mul(LOW_ROOM_PERCENT)
    }) {
        let name = app
            .catalog
            .daemon(common::ids::Identity {
                role: Role::Storage,
                id: room.storage,
            })
            .await?;
        alerts.push(Alert {
            severity: Severity::Error,
            object: format!("storage {}", name.map(|d| d.name).unwrap_or_default()),
            text: format!(
                "has {} free",
                common::config::Size::from_bytes(room.free_bytes)
            ),
            remedy: "add room, or keep snapshots for a shorter time".to_owned(),
            since: Some(room.reported_at),
        });
    }
    let failed = RunFilter {
        states: vec![RunState::Error, RunState::Incomplete],
        since: Some(now() - RECENT),
        ..RunFilter::default()
    };
    for run in app.catalog.runs(&failed, 100).await? {
        let last = app.catalog.last_run(&run.job, Some(&run.client)).await?;
        if last.is_some_and(|last| last.job_id == run.job_id) {
            alerts.push(Alert {
                severity: Severity::Error,
                object: format!("job {} on client {}", run.job, run.client),
                text: format!("run {} ended as {}: {}", run.job_id, run.state, run.outcome),
                remedy: format!("see `holdfast log {}`", run.job_id),
                since: run.ended_at,
            });
        }
    }
    alerts.sort_by_key(|a| std::cmp::Reverse(a.severity));
    Ok(alerts)
}
