//! `/estimates` and `/filesets/{name}/test`: questions to a client before a backup.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use common::api::check::{Estimate, EstimateRequest, FilesetTest, FilesetVerdict};
use common::api::text::PathText;
use common::ids::Role;
use common::protocol::control::Body;
use common::protocol::orders::{BrowseOrder, EstimateOrder, EstimateReply};

use super::app::App;
use super::error::ApiError;
use super::input::{Input, Named};
use crate::daemons::Daemon;
use crate::runs::own_folders_on;

/// A walk over a whole client takes a while.
const ESTIMATE_LIMIT: Duration = Duration::from_secs(600);
const TEST_LIMIT: Duration = Duration::from_secs(30);
const MAX_LIST: u32 = 10_000;

fn connected(app: &App, client: &str) -> Result<Daemon, ApiError> {
    app.registry
        .by_name(Role::File, client)
        .ok_or_else(|| ApiError::not_connected(format!("client {client} is not connected")))
}

async fn ask(daemon: &Daemon, body: Body, limit: Duration) -> Result<EstimateReply, ApiError> {
    match daemon.request(body, limit).await? {
        Body::EstimateReply(reply) => Ok(reply),
        _ => Err(ApiError::conflict(format!(
            "client {} gave another answer than an estimate",
            daemon.name
        ))),
    }
}

pub(super) async fn estimate(
    State(app): State<App>,
    Input(input): Input<EstimateRequest>,
) -> Result<Json<Estimate>, ApiError> {
    let config = app.config.get();
    let no_job = || ApiError::not_found(format!("there is no job {:?}", input.job));
    let job = config.jobs.get(&input.job).ok_or_else(no_job)?;
    let client = match (&input.client, job.clients.as_slice()) {
        (Some(name), clients) if clients.contains(name) => name,
        (Some(name), _) => {
            return Err(ApiError::not_found(format!(
                "job {} has no client {name:?}",
                input.job
            )));
        }
        (None, [only]) => only,
        (None, _) => {
            return Err(ApiError::invalid(
                "/client",
                "the job has several clients: name one",
            ));
        }
    };
    if input.list > MAX_LIST {
        return Err(ApiError::invalid(
            "/list",
            format!("at most {MAX_LIST} paths can be listed"),
        ));
    }
    let daemon = connected(&app, client)?;
    let order = EstimateOrder {
        fileset: config.filesets.get(&job.fileset).map(|f| f.ordered.clone()),
        list: input.list,
        own_folders: own_folders_on(&app.catalog, &daemon.hello.host).await?,
    };
    let reply = ask(&daemon, Body::Estimate(order), ESTIMATE_LIMIT).await?;
    let counts = reply.counts.unwrap_or_default();
    Ok(Json(Estimate {
        client: client.clone(),
        entries: counts.entries,
        files: counts.files,
        directories: counts.directories,
        bytes: counts.protected_bytes,
        paths: reply
            .paths
            .iter()
            .map(|p| PathText::from_bytes(p))
            .collect(),
        remarks: reply.remarks,
    }))
}

pub(super) async fn fileset_test(
    State(app): State<App>,
    Named(name): Named<String>,
    Input(input): Input<FilesetTest>,
) -> Result<Json<FilesetVerdict>, ApiError> {
    let config = app.config.get();
    let no_fileset = || ApiError::not_found(format!("there is no FileSet {name:?}"));
    let fileset = config.filesets.get(&name).ok_or_else(no_fileset)?;
    let path = input.path.to_bytes().ok().filter(|p| p.starts_with(b"/"));
    let path = path.ok_or_else(|| {
        ApiError::invalid(
            "/path",
            format!("{:?} is not an absolute path", input.path.0),
        )
    })?;
    let daemon = connected(&app, &input.client)?;
    let order = BrowseOrder {
        fileset: Some(fileset.ordered.clone()),
        path,
    };
    let reply = ask(&daemon, Body::Browse(order), TEST_LIMIT).await?;
    Ok(Json(FilesetVerdict {
        fileset: name,
        path: input.path,
        saved: reply.counts.is_some_and(|c| c.entries > 0),
        reason: reply.remarks.join("; "),
    }))
}
