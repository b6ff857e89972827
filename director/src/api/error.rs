//! The one error of the API: what went wrong as problem+json with a stable code and a remedy.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use common::api::problem::{Finding, MEDIA_TYPE, Problem, code};
use common::config::{LoadError, Problems};

use crate::authority::AuthorityError;
use crate::catalog::CatalogError;
use crate::config::EditError;
use crate::daemons::DaemonError;
use crate::runs::{PointError, RestoreError, RunError};

/// Why a request was not done. Boxed: it is larger than what most routes return.
#[derive(Debug)]
pub struct ApiError(Box<Problem>);

impl ApiError {
    fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(status, code, title, detail)))
    }

    pub(super) fn remedy(mut self, text: impl Into<String>) -> Self {
        self.0.remedy = text.into();
        self
    }

    /// 422: a field of the request.
    pub(super) fn invalid(place: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut error = Self::new(
            422,
            code::INVALID,
            "The request is not valid",
            format!("{place}: {message}"),
        );
        error.0.errors.push(Finding {
            place: place.to_owned(),
            message,
            remedy: String::new(),
        });
        error
    }

    /// 404.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, code::NOT_FOUND, "There is no such object", detail)
    }

    /// 409.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(
            409,
            code::CONFLICT,
            "The object is in another state",
            detail,
        )
    }

    /// 409: nobody else could reach this Director.
    pub(super) fn loopback_only() -> Self {
        Self::new(
            409,
            code::LOOPBACK_ONLY,
            "No other machine can reach this Director",
            "the Director listens on loopback addresses only",
        )
        .remedy("set director.listen to an address of this machine's network and restart the Director; for a daemon on this machine ask for a local token")
    }

    /// 401.
    pub(super) fn unauthenticated(detail: &str) -> Self {
        Self::new(401, code::UNAUTHENTICATED, "Who are you?", detail)
            .remedy("send `Authorization: Bearer TOKEN` with a valid token")
    }

    /// 403.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(403, code::FORBIDDEN, "This user may not do this", detail)
    }

    /// 503: a daemon is not there.
    pub(super) fn not_connected(detail: impl Into<String>) -> Self {
        let mut error = Self::new(
            503,
            code::NOT_CONNECTED,
            "The daemon is not connected",
            detail,
        )
        .remedy("start its daemon and see its log");
        error.0.retry = true;
        error
    }

    /// 504: it took too long.
    pub(super) fn timeout() -> Self {
        let mut error = Self::new(
            504,
            code::TIMEOUT,
            "No answer in time",
            "the request took too long",
        );
        error.0.retry = true;
        error
    }

    /// 500; the log has the cause.
    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(
            500,
            code::INTERNAL,
            "A defect",
            "the Director's log has the details",
        )
    }

    pub(super) fn problems(problems: &Problems) -> Self {
        let count = problems.0.len();
        let mut error = Self::new(
            422,
            code::CONFIGURATION,
            "The configuration has errors",
            format!("{count} errors, nothing was changed"),
        );
        error.0.errors = findings(problems);
        error
    }

    pub(super) fn status(&self) -> u16 {
        self.0.status
    }
}

/// Problems of a configuration as findings.
pub(super) fn findings(problems: &Problems) -> Vec<Finding> {
    problems
        .0
        .iter()
        .map(|p| Finding {
            place: p.place.to_string(),
            message: p.reason.clone(),
            remedy: p.remedy.clone().unwrap_or_default(),
        })
        .collect()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let kind = HeaderValue::from_static(MEDIA_TYPE);
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        if error.is_transient() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the catalog is away"
            );
            let mut shown = Self::new(
                503,
                code::UNAVAILABLE,
                "The catalog is not available",
                "PostgreSQL does not answer",
            );
            shown.0.retry = true;
            return shown;
        }
        if error.is_duplicate() || matches!(error, CatalogError::Conflict { .. }) {
            return Self::conflict(error.to_string());
        }
        Self::internal(&error)
    }
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::NoJob(_) | RunError::NoClient { .. } | RunError::NoRun(_) => {
                Self::not_found(error.to_string())
            }
            RunError::Over { .. } => Self::conflict(error.to_string()),
            RunError::Catalog(error) => error.into(),
        }
    }
}

impl From<PointError> for ApiError {
    fn from(error: PointError) -> Self {
        match error {
            PointError::NoClient => Self::invalid("/client", error.to_string()),
            PointError::BadPath(_) => Self::invalid("/paths", error.to_string()),
            PointError::Catalog(error) => error.into(),
            _ => Self::not_found(error.to_string()),
        }
    }
}

impl From<RestoreError> for ApiError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Point(error) => error.into(),
            RestoreError::Run(error) => error.into(),
            RestoreError::Request { field, reason } => Self::invalid(&format!("/{field}"), reason),
        }
    }
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::FilesOnly => Self::new(
                409,
                code::FILES_ONLY,
                "The configuration is kept in files",
                error.to_string(),
            )
            .remedy("edit the files and reload, or remove `managed = \"files\"`"),
            EditError::Name(_) => Self::invalid("/name", error.to_string()),
            EditError::Check(error) => error.into(),
            EditError::Edit { .. } | EditError::Write { .. } => Self::internal(&error),
        }
    }
}

impl From<LoadError> for ApiError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Wrong(problems) => Self::problems(&problems),
            LoadError::Read { .. } => Self::internal(&error),
        }
    }
}

impl From<DaemonError> for ApiError {
    fn from(error: DaemonError) -> Self {
        if let Some(fault) = error.fault() {
            return Self::conflict(fault.text.clone());
        }
        match error {
            DaemonError::NotConnected(_) => Self::not_connected(error.to_string()),
            _ => {
                let mut shown =
                    Self::new(504, code::TIMEOUT, "No answer in time", error.to_string());
                shown.0.retry = true;
                shown
            }
        }
    }
}

impl From<AuthorityError> for ApiError {
    fn from(error: AuthorityError) -> Self {
        match error {
            AuthorityError::BadToken(text) => Self::invalid("/name", text),
            other => Self::internal(&other),
        }
    }
}
