//! `/storages`: Storage Daemons, their room, how one joins.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::DateTime;
use common::api::clients::Enrolment;
use common::api::page::{Page, PageQuery};
use common::api::storages::{NewStorage, Storage};
use common::ids::Role;

use super::app::App;
use super::caller::Caller;
use super::clients::{configure, enrolment, known};
use super::error::ApiError;
use super::input::{Asked, Input, Named, page_by_name};

async fn storages(app: &App) -> Result<Vec<Storage>, ApiError> {
    let config = app.config.get();
    let known = known(
        app,
        Role::Storage,
        config.storages.keys().cloned().collect(),
    )
    .await?;
    let space = app.catalog.storage_space().await?;
    let mut storages = Vec::with_capacity(known.names.len());
    for name in &known.names {
        let daemon = known.daemon(name);
        let id = daemon.map(|d| d.identity.id);
        let live = daemon.and_then(|d| app.registry.get(d.identity));
        let volumes = match id {
            Some(id) => app.catalog.volumes(Some(id), None).await?,
            None => Vec::new(),
        };
        let room = space.iter().find(|s| Some(s.storage) == id);
        let pools = config
            .pools
            .iter()
            .filter(|(_, pool)| pool.storage == *name);
        storages.push(Storage {
            name: name.clone(),
            id,
            enrolled: known.enrolled(name),
            connected: live.is_some(),
            last_seen: match &live {
                Some(live) => DateTime::from_timestamp_millis(live.seen_ms()),
                None => daemon.and_then(|d| d.last_seen_at),
            },
            clock_difference_ms: live.as_ref().map(|l| l.clock_difference_ms),
            host: daemon.map(|d| d.host.clone()).unwrap_or_default(),
            version: daemon.map(|d| d.version.clone()).unwrap_or_default(),
            addresses: daemon.map(|d| d.addresses.clone()).unwrap_or_default(),
            volumes: volumes.len() as u64,
            volume_bytes: volumes.iter().map(|v| v.size_bytes).sum(),
            free_bytes: room.map(|r| r.free_bytes),
            total_bytes: room.map(|r| r.total_bytes),
            pools: pools.map(|(pool, _)| pool.clone()).collect(),
        });
    }
    Ok(storages)
}

pub(super) async fn list(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Storage>>, ApiError> {
    let all = storages(&app).await?;
    Ok(Json(page_by_name(
        all,
        (query.limit, query.cursor.as_deref()),
        |s| &s.name,
    )?))
}

pub(super) async fn get(
    State(app): State<App>,
    Named(name): Named<String>,
) -> Result<Json<Storage>, ApiError> {
    let found = storages(&app).await?.into_iter().find(|s| s.name == name);
    found
        .map(Json)
        .ok_or_else(|| ApiError::not_found(format!("there is no storage {name:?}")))
}

pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Input(input): Input<NewStorage>,
) -> Result<(StatusCode, Json<Enrolment>), ApiError> {
    let there = app
        .catalog
        .daemon_by_name(Role::Storage, &input.name)
        .await?
        .is_some();
    if there && !input.replace {
        return Err(
            ApiError::conflict(format!("storage {:?} is enrolled already", input.name))
                .remedy("choose another name, or ask for a replacement"),
        );
    }
    configure(&app, "storage", &input.name).await?;
    let enrolment = enrolment(&app, &caller, (Role::Storage, &input.name), input.local).await?;
    Ok((StatusCode::CREATED, Json(enrolment)))
}
