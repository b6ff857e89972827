//! `/config`: check and reload.

use axum::extract::State;
use axum::{Extension, Json};
use common::api::config::ConfigReport;
use common::config::{LoadError, Place};

use super::app::App;
use super::caller::Caller;
use super::error::{ApiError, findings};
use crate::config::ReloadReport;

fn report(
    result: Result<ReloadReport, LoadError>,
    applied: bool,
) -> Result<ConfigReport, ApiError> {
    match result {
        Ok(report) => Ok(ConfigReport {
            ok: true,
            files: report
                .files
                .iter()
                .map(|f| f.display().to_string())
                .collect(),
            errors: Vec::new(),
            warnings: Vec::new(),
            changes: report.changes,
            applied,
        }),
        Err(LoadError::Wrong(problems)) => {
            let mut files: Vec<String> = problems.0.iter().map(|p| file(&p.place)).collect();
            files.dedup();
            Ok(ConfigReport {
                ok: false,
                files,
                errors: findings(&problems),
                warnings: Vec::new(),
                changes: Vec::new(),
                applied: false,
            })
        }
        Err(error) => Err(error.into()),
    }
}

fn file(place: &Place) -> String {
    place.path().display().to_string()
}

/// Files are read on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| ApiError::internal(&e))
}

pub(super) async fn check(State(app): State<App>) -> Result<Json<ConfigReport>, ApiError> {
    let live = app.config.clone();
    let result = blocking(move || live.check()).await?;
    Ok(Json(report(result, false)?))
}

pub(super) async fn reload(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<ConfigReport>, ApiError> {
    let live = app.config.clone();
    let result = blocking(move || live.reload()).await?;
    let report = report(result, true)?;
    let what = if report.ok {
        report.changes.join("; ")
    } else {
        format!("refused: {} errors", report.errors.len())
    };
    app.audit_with(&caller, ("config.reload", "configuration".to_owned()), what)
        .await?;
    Ok(Json(report))
}
