//! `/clients`: machines, how they join, are checked, replaced, shut out.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::DateTime;
use common::api::clients::{Client, ClientCheck, Enrolled, Enrolment, NewClient, Revoke};
use common::api::page::{Page, PageQuery};
use common::ids::{Identity, Role};
use common::protocol::control::Body;
use common::protocol::orders::BrowseOrder;
use tokio::time::Instant;

use super::app::{App, now};
use super::caller::Caller;
use super::error::ApiError;
use super::input::{Asked, Input, Named, page_by_name};
use crate::authority::NewToken;
use crate::catalog::{Daemon, EnrolToken};
use crate::config::Draft;

/// Life of an enrolment token.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
const CHECK_LIMIT: Duration = Duration::from_secs(10);
/// Clocks further apart than this are worth a remark.
const CLOCK_MS: i64 = 60_000;

/// Everything known of the labels of one role.
pub(super) struct Known {
    pub names: Vec<String>,
    pub daemons: Vec<Daemon>,
    pub tokens: Vec<EnrolToken>,
}

/// Labels that are configured, enrolled or waited for.
pub(super) async fn known(
    app: &App,
    role: Role,
    configured: Vec<String>,
) -> Result<Known, ApiError> {
    let daemons = app.catalog.daemons(Some(role)).await?;
    let mut tokens = app.catalog.open_enrol_tokens(now()).await?;
    tokens.retain(|t| t.role == role);
    let mut names = configured;
    names.extend(daemons.iter().map(|d| d.name.clone()));
    names.extend(tokens.iter().map(|t| t.name.clone()));
    names.sort();
    names.dedup();
    Ok(Known {
        names,
        daemons,
        tokens,
    })
}

impl Known {
    /// The daemon of a label: one that is enrolled before one that was revoked.
    pub fn daemon(&self, name: &str) -> Option<&Daemon> {
        let mut all: Vec<&Daemon> = self.daemons.iter().filter(|d| d.name == name).collect();
        all.sort_by_key(|d| (d.revoked_at.is_some(), std::cmp::Reverse(d.enrolled_at)));
        all.first().copied()
    }

    pub fn enrolled(&self, name: &str) -> Enrolled {
        match self.daemon(name) {
            Some(daemon) if daemon.revoked_at.is_none() => Enrolled::Enrolled,
            Some(_) if !self.tokens.iter().any(|t| t.name == name) => Enrolled::Revoked,
            _ => Enrolled::Waiting,
        }
    }
}

async fn clients(app: &App) -> Result<Vec<Client>, ApiError> {
    let config = app.config.get();
    let known = known(app, Role::File, config.clients.keys().cloned().collect()).await?;
    let mut clients = Vec::with_capacity(known.names.len());
    for name in &known.names {
        let daemon = known.daemon(name);
        let live = daemon.and_then(|d| app.registry.get(d.identity));
        let jobs = config
            .jobs
            .iter()
            .filter(|(_, job)| job.clients.contains(name));
        clients.push(Client {
            name: name.clone(),
            id: daemon.map(|d| d.identity.id),
            enrolled: known.enrolled(name),
            connected: live.is_some(),
            last_seen: match &live {
                Some(live) => DateTime::from_timestamp_millis(live.seen_ms()),
                None => daemon.and_then(|d| d.last_seen_at),
            },
            clock_difference_ms: live.as_ref().map(|l| l.clock_difference_ms),
            host: daemon.map(|d| d.host.clone()).unwrap_or_default(),
            system: daemon.map(|d| d.system.clone()).unwrap_or_default(),
            version: daemon.map(|d| d.version.clone()).unwrap_or_default(),
            privileged: live.as_ref().map(|l| l.hello.privileged),
            jobs: jobs.map(|(job, _)| job.clone()).collect(),
            certificate_until: None,
        });
    }
    Ok(clients)
}

async fn one(app: &App, name: &str) -> Result<Client, ApiError> {
    let mut client = clients(app)
        .await?
        .into_iter()
        .find(|c| c.name == name)
        .ok_or_else(|| ApiError::not_found(format!("there is no client {name:?}")))?;
    if let Some(id) = client.id {
        let identity = Identity {
            role: Role::File,
            id,
        };
        let valid = app.catalog.certificates(identity).await?;
        client.certificate_until = valid
            .iter()
            .filter(|c| c.revoked_at.is_none())
            .map(|c| c.not_after)
            .max();
    }
    Ok(client)
}

pub(super) async fn list(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Client>>, ApiError> {
    let all = clients(&app).await?;
    Ok(Json(page_by_name(
        all,
        (query.limit, query.cursor.as_deref()),
        |c| &c.name,
    )?))
}

pub(super) async fn get(
    State(app): State<App>,
    Named(name): Named<String>,
) -> Result<Json<Client>, ApiError> {
    Ok(Json(one(&app, &name).await?))
}

pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Input(input): Input<NewClient>,
) -> Result<(StatusCode, Json<Enrolment>), ApiError> {
    if app
        .catalog
        .daemon_by_name(Role::File, &input.name)
        .await?
        .is_some()
    {
        return Err(
            ApiError::conflict(format!("client {:?} is enrolled already", input.name))
                .remedy("choose another name, or replace its certificate"),
        );
    }
    configure(&app, "client", &input.name).await?;
    let enrolment = enrolment(&app, &caller, (Role::File, &input.name), input.local).await?;
    Ok((StatusCode::CREATED, Json(enrolment)))
}

/// Defines a label in `conf.d` when it is defined nowhere.
pub(super) async fn configure(app: &App, kind: &'static str, name: &str) -> Result<(), ApiError> {
    let config = app.config.get();
    let there = match kind {
        "client" => config.clients.contains_key(name),
        _ => config.storages.contains_key(name),
    };
    if there {
        return Ok(());
    }
    let mut draft = Draft::default();
    draft.set(kind, name, toml_edit::Table::new())?;
    super::protect::apply(app, draft).await?;
    Ok(())
}

/// Makes a token and says how to use it.
#[allow(clippy::fn_params_excessive_bools)]
pub(super) async fn enrolment(
    app: &App,
    caller: &Caller,
    (role, name): (Role, &str),
    local: bool,
) -> Result<Enrolment, ApiError> {
    if !local && app.loopback_only() {
        return Err(ApiError::loopback_only());
    }
    app.catalog.withdraw_enrol_tokens(role, name).await?;
    let new = NewToken {
        role,
        name: name.to_owned(),
        life: TOKEN_LIFE,
        created_by: caller.name.clone(),
    };
    let token = app.authority.create_token(new).await?;
    let (word, program) = match role {
        Role::Storage => ("storage", "holdfast-storaged --config storage.toml"),
        _ => ("client", "holdfast-filed --config client.toml"),
    };
    app.audit(caller, "enrol.token", format!("{word} {name}"))
        .await?;
    Ok(Enrolment {
        name: name.to_owned(),
        command: format!("{program} enrol --token {token}"),
        token,
        expires_at: now() + TOKEN_LIFE,
        addresses: app.addresses.clone(),
    })
}

pub(super) async fn replace(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(name): Named<String>,
) -> Result<Json<Enrolment>, ApiError> {
    one(&app, &name).await?;
    Ok(Json(
        enrolment(&app, &caller, (Role::File, &name), app.loopback_only()).await?,
    ))
}

pub(super) async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(name): Named<String>,
    Input(input): Input<Revoke>,
) -> Result<Json<Client>, ApiError> {
    let client = one(&app, &name).await?;
    app.catalog.withdraw_enrol_tokens(Role::File, &name).await?;
    if let Some(id) = client.id {
        app.authority
            .revoke(Identity {
                role: Role::File,
                id,
            })
            .await?;
    }
    app.audit_with(
        &caller,
        ("client.revoke", format!("client {name}")),
        input.reason,
    )
    .await?;
    Ok(Json(one(&app, &name).await?))
}

pub(super) async fn check(
    State(app): State<App>,
    Named(name): Named<String>,
) -> Result<Json<ClientCheck>, ApiError> {
    let client = one(&app, &name).await?;
    let mut check = ClientCheck {
        name: name.clone(),
        reachable: false,
        round_trip_ms: None,
        clock_difference_ms: client.clock_difference_ms,
        privileged: client.privileged,
        last_seen: client.last_seen,
        remarks: Vec::new(),
    };
    match app.registry.by_name(Role::File, &name) {
        None => check.remarks.push(match client.enrolled {
            Enrolled::Waiting => {
                "it has not enrolled yet: run the command with its token on that machine".to_owned()
            }
            Enrolled::Revoked => {
                "its certificate was revoked: replace it to let it in again".to_owned()
            }
            Enrolled::Enrolled => {
                "it is not connected: start holdfast-filed there and see its log".to_owned()
            }
        }),
        Some(daemon) => {
            let start = Instant::now();
            // Any answer will do, a fault as well: it lives.
            let question = BrowseOrder {
                fileset: None,
                path: b"/".to_vec(),
            };
            let answer = daemon.request(Body::Browse(question), CHECK_LIMIT).await;
            check.reachable =
                answer.as_ref().is_ok() || answer.as_ref().is_err_and(|e| e.fault().is_some());
            if check.reachable {
                check.round_trip_ms =
                    Some(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
            } else {
                check.remarks.push(format!(
                    "it is connected and does not answer within {} s",
                    CHECK_LIMIT.as_secs()
                ));
            }
            if check.privileged == Some(false) {
                check.remarks.push(
                    "it does not run as root: files that its user cannot read will not be saved"
                        .to_owned(),
                );
            }
        }
    }
    if check
        .clock_difference_ms
        .is_some_and(|ms| ms.abs() > CLOCK_MS)
    {
        check.remarks.push("its clock and the Director's differ by more than a minute: set up time synchronisation".to_owned());
    }
    if client.jobs.is_empty() {
        check
            .remarks
            .push("no job names it: nothing of it is saved".to_owned());
    }
    Ok(Json(check))
}
