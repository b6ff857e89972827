//! Who calls: a bearer token known by its SHA-256, and what its user may do.
//!
//! Fail closed: an unknown token, a disabled user, an unknown role have no or the least power. The decision is made here,
//! in one place, on the route that was matched.

use std::net::IpAddr;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::app::{App, now};
use super::error::ApiError;
use crate::config::ApiRole;
use crate::daemons::RemoteAddress;

/// An authenticated user.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub name: String,
    pub role: ApiRole,
    pub remote: String,
}

/// What a route demands.
fn demanded(method: &Method, route: &str) -> ApiRole {
    let operates = [
        "/runs",
        "/restores",
        "/estimates",
        "/filesets",
        "/config/check",
    ]
    .iter()
    .any(|prefix| {
        route
            .strip_prefix(common::api::BASE)
            .is_some_and(|r| r.starts_with(prefix))
    }) || route.ends_with("/check");
    // What is on the list of tokens is nobody else's business.
    let administers = route
        .strip_prefix(common::api::BASE)
        .is_some_and(|r| r.starts_with("/tokens"));
    match *method {
        _ if administers => ApiRole::Admin,
        Method::GET | Method::HEAD => ApiRole::Viewer,
        _ if operates => ApiRole::Operator,
        _ => ApiRole::Admin,
    }
}

/// Lets in who may.
pub(super) async fn authenticate(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|p| p.as_str().to_owned())
        .unwrap_or_default();
    let remote = request
        .extensions()
        .get::<RemoteAddress>()
        .map(|r| r.0.ip());
    let token = token(&request)?;
    let caller = caller(&app, &token, remote).await?;
    let demanded = demanded(request.method(), &route);
    if caller.role < demanded {
        tracing::warn!(user = caller.name, %route, remote = caller.remote, "refused: not allowed");
        app.audit(&caller, "refused", format!("{} {route}", request.method()))
            .await?;
        return Err(ApiError::forbidden(format!(
            "user {} is {}, this takes {}",
            caller.name,
            caller.role.word(),
            demanded.word()
        )));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn token(request: &Request) -> Result<String, ApiError> {
    let header = request.headers().get(header::AUTHORIZATION);
    let token = header
        .and_then(|h| h.to_str().ok())
        .and_then(|h| h.strip_prefix("Bearer "));
    let missing = || ApiError::unauthenticated("the request has no bearer token");
    token.map(|t| t.trim().to_owned()).ok_or_else(missing)
}

async fn caller(app: &App, token: &str, remote: Option<IpAddr>) -> Result<Caller, ApiError> {
    let sha256 = super::access::hash(token);
    let Some(user) = app.catalog.user_of_token(sha256, now()).await? else {
        tracing::warn!(remote = ?remote, "refused: unknown API token");
        return Err(ApiError::unauthenticated(
            "the token is unknown, expired or withdrawn",
        ));
    };
    // The configuration has the last word on a user it names.
    let configured = app.config.get().users.get(&user.name).map(|u| u.role);
    Ok(Caller {
        role: configured.unwrap_or_else(|| ApiRole::from_word(&user.role)),
        name: user.name,
        remote: remote.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()),
    })
}
