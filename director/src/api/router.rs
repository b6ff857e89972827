//! All routes, with what holds for each of them: limits, timeouts, request ids, authentication.

use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use common::api::problem::MEDIA_TYPE;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;

use super::app::App;
use super::caller::authenticate;
use super::error::ApiError;
use super::{
    browse, checks, clients, config, events, find, jobs, protect, restores, runs, snapshots,
    status, storages, users,
};

/// Largest body of a request.
const MAX_BODY: usize = 1 << 20;
/// A request is answered within this; those that ask a client take longer.
const LIMIT: Duration = Duration::from_secs(60);
const ASKING_LIMIT: Duration = Duration::from_secs(630);

/// The API.
pub fn router(app: App) -> Router {
    let quick = Router::new()
        .route("/status", get(status::status))
        .route("/clients", get(clients::list).post(clients::create))
        .route("/clients/{name}", get(clients::get))
        .route("/clients/{name}/check", post(clients::check))
        .route("/clients/{name}/replace", post(clients::replace))
        .route("/clients/{name}/revoke", post(clients::revoke))
        .route("/storages", get(storages::list).post(storages::create))
        .route("/storages/{name}", get(storages::get))
        .route("/tokens", get(users::list))
        .route("/tokens/{id}/revoke", post(users::revoke))
        .route("/users/{name}/tokens", post(users::create))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{name}", get(jobs::get))
        .route("/runs", get(runs::list).post(runs::start))
        .route("/runs/{id}", get(runs::get))
        .route("/runs/{id}/cancel", post(runs::cancel))
        .route("/runs/{id}/log", get(runs::log))
        .route("/snapshots", get(snapshots::list))
        .route("/browse", get(browse::browse))
        .route("/find", get(find::find))
        .route("/versions", get(browse::versions))
        .route("/restores", post(restores::start))
        .route("/filesets/{name}/test", post(checks::fileset_test))
        .route("/protections", post(protect::protect))
        .route("/config/check", post(config::check))
        .route("/config/reload", post(config::reload))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            LIMIT,
        ));
    let asking = Router::new()
        .route("/estimates", post(checks::estimate))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            ASKING_LIMIT,
        ));
    let streams = Router::new().route("/runs/{id}/events", get(events::events));
    let known = quick
        .merge(asking)
        .merge(streams)
        .route_layer(from_fn_with_state(app.clone(), authenticate))
        .route("/ready", get(status::ready));
    let request_id = HeaderName::from_static("x-request-id");
    Router::new()
        .nest(common::api::BASE, known)
        .fallback(|request: Request| async move {
            ApiError::not_found(format!("there is no {}", request.uri().path()))
        })
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(only_problems))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .with_state(app)
}

/// Errors that layers and axum itself answer become problems too.
async fn only_problems(request: Request, next: axum::middleware::Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|p| p.as_str().to_owned());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let status = response.status();
    let is_problem = response
        .headers()
        .get("content-type")
        .is_some_and(|t| t == MEDIA_TYPE);
    if status.as_u16() < 400 || is_problem {
        return response;
    }
    tracing::debug!(%status, ?route, "an answer was made a problem");
    let problem = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            ApiError::not_found(format!("{path} does not take {method}"))
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::invalid("/", format!("the body is larger than {MAX_BODY} bytes"))
        }
        StatusCode::GATEWAY_TIMEOUT => ApiError::timeout(),
        _ if status.is_client_error() => ApiError::invalid("/", status.to_string()),
        _ => return response,
    };
    problem.into_response()
}

#[allow(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_default();
    ApiError::internal(&std::io::Error::other(text)).into_response()
}
