//! `/restores`: starts a restore.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use common::api::restore::{RestoreRequest, RestoreStarted};

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::input::Input;
use super::runs::one;

pub(super) async fn start(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Input(request): Input<RestoreRequest>,
) -> Result<(StatusCode, Json<RestoreStarted>), ApiError> {
    let job_id = app.runs.start_restore(request, &caller.name).await?;
    let run = one(&app, job_id).await?;
    let what = run.restore.as_ref().map_or_else(String::new, |r| {
        format!(
            "{} of client {} as of run {} to {} on {}",
            r.mode.word(),
            r.from_client,
            r.from_job_id,
            r.to,
            run.client
        )
    });
    app.audit_with(&caller, ("restore.start", format!("run {job_id}")), what)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(RestoreStarted { run })))
}
