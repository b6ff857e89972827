//! `/tokens` and `/users/{name}/tokens`: who may call the API. For administrators alone.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::TimeDelta;
use common::api::page::{Page, PageQuery};
use common::api::users::{ApiToken, MadeToken, NewApiToken};

use super::access::{hash, secret};
use super::app::{App, now};
use super::caller::Caller;
use super::error::ApiError;
use super::input::{Asked, Input, Named, page_by_name};
use crate::catalog::{self, ApiUser};
use crate::config::ApiRole;

/// Longest life of a token that ends.
const MAX_DAYS: u32 = 3650;
/// Longest label, in characters.
const MAX_LABEL: usize = 200;

fn shown(app: &App, users: &[ApiUser], token: catalog::ApiToken) -> ApiToken {
    let configured = app.config.get().users.get(&token.user).map(|u| u.role);
    let known = || {
        let user = users.iter().find(|u| u.name == token.user);
        user.map_or(ApiRole::Viewer, |u| ApiRole::from_word(&u.role))
    };
    ApiToken {
        id: id_of(&token.sha256),
        role: configured.unwrap_or_else(known).word().to_owned(),
        user: token.user,
        label: token.label,
        created_at: token.created_at,
        expires_at: token.expires_at,
        last_used_at: token.last_used_at,
    }
}

fn id_of(sha256: &[u8]) -> String {
    hex::encode(sha256.get(..8).unwrap_or(sha256))
}

pub(super) async fn list(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<ApiToken>>, ApiError> {
    let users = app.catalog.api_users().await?;
    let tokens = app.catalog.api_tokens(None).await?;
    let all = tokens.into_iter().map(|token| shown(&app, &users, token));
    Ok(Json(page_by_name(
        all.collect(),
        (query.limit, query.cursor.as_deref()),
        |token| &token.id,
    )?))
}

pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(name): Named<String>,
    Input(input): Input<NewApiToken>,
) -> Result<(StatusCode, Json<MadeToken>), ApiError> {
    if input.label.chars().count() > MAX_LABEL || input.label.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            "/label",
            format!("a label is one line of at most {MAX_LABEL} characters"),
        ));
    }
    if !input.days.is_none_or(|days| (1..=MAX_DAYS).contains(&days)) {
        return Err(ApiError::invalid(
            "/days",
            format!(
                "a token lives for 1 to {MAX_DAYS} days, or without `days` until it is revoked"
            ),
        ));
    }
    known_user(&app, &name).await?;
    let token = secret().map_err(|error| ApiError::internal(&error))?;
    let record = catalog::NewApiToken {
        sha256: hash(&token),
        user: name.clone(),
        label: input.label,
        created_at: now(),
        expires_at: input.days.map(|days| now() + TimeDelta::days(days.into())),
    };
    app.catalog.create_api_token(&record).await?;
    let id = id_of(&record.sha256);
    app.audit(
        &caller,
        "token.create",
        format!("token {id} of user {name}"),
    )
    .await?;
    let users = app.catalog.api_users().await?;
    let known = catalog::ApiToken {
        sha256: record.sha256.to_vec(),
        user: record.user,
        label: record.label,
        created_at: record.created_at,
        expires_at: record.expires_at,
        last_used_at: None,
    };
    let known = shown(&app, &users, known);
    Ok((StatusCode::CREATED, Json(MadeToken { token, known })))
}

/// A user of the configuration is entered into the catalog when it is first needed there.
async fn known_user(app: &App, name: &str) -> Result<(), ApiError> {
    let configured = app.config.get().users.get(name).map(|u| u.role);
    let stored = app.catalog.api_user(name).await?;
    match (configured, stored) {
        (_, Some(user)) if user.disabled_at.is_some() => {
            Err(ApiError::conflict(format!("user {name:?} is shut out")))
        }
        (_, Some(_)) => Ok(()),
        (Some(role), None) => {
            let user = ApiUser {
                name: name.to_owned(),
                role: role.word().to_owned(),
                password: String::new(),
                created_at: now(),
                disabled_at: None,
            };
            Ok(app.catalog.set_api_user(&user).await?)
        }
        (None, None) => Err(
            ApiError::not_found(format!("there is no user {name:?}")).remedy(format!(
                "add [user.{name}] with a role to the configuration and reload it"
            )),
        ),
    }
}

pub(super) async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<Json<ApiToken>, ApiError> {
    let users = app.catalog.api_users().await?;
    let tokens = app.catalog.api_tokens(None).await?;
    let mut named = tokens.into_iter().filter(|t| id_of(&t.sha256) == id);
    let none = || ApiError::not_found(format!("there is no token {id:?}"));
    let token = named.next().ok_or_else(none)?;
    if !app.catalog.withdraw_api_token(&token.sha256).await? {
        return Err(none());
    }
    let user = &token.user;
    app.audit(
        &caller,
        "token.revoke",
        format!("token {id} of user {user}"),
    )
    .await?;
    Ok(Json(shown(&app, &users, token)))
}
