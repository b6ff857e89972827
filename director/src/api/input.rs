//! What comes in: JSON bodies, queries and pages, each refused as a problem that names the place.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use common::api::page::{DEFAULT_LIMIT, MAX_LIMIT, Page};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// A JSON body; an empty one reads as `{}`.
pub(super) struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|e| ApiError::invalid("/", format!("the body cannot be read: {e}")))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|e| ApiError::invalid("/", e.to_string()))
    }
}

/// A query.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|e| ApiError::invalid("query", e.body_text()))
    }
}

/// Part of the path.
pub(super) struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|e| ApiError::invalid("path", e.body_text()))
    }
}

/// Items of one page.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        n @ 1..=MAX_LIMIT => Ok(n),
        n => Err(ApiError::invalid(
            "limit",
            format!("{n} is not from 1 to {MAX_LIMIT}"),
        )),
    }
}

/// Reads a cursor that [`cursor`] made.
pub(super) fn from_cursor<T: DeserializeOwned>(text: Option<&str>) -> Result<Option<T>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let read = hex::decode(text)
        .ok()
        .and_then(|raw| serde_json::from_slice(&raw).ok());
    read.map(Some)
        .ok_or_else(|| ApiError::invalid("cursor", "it is not the `next` of a page"))
}

/// A place in a list, opaque to callers.
pub(super) fn cursor<T: Serialize>(place: &T) -> String {
    hex::encode(serde_json::to_vec(place).unwrap_or_default())
}

/// A page of a list that is in memory, ordered by name.
pub(super) fn page_by_name<T>(
    mut items: Vec<T>,
    (asked, after): (Option<u32>, Option<&str>),
    name: impl Fn(&T) -> &str,
) -> Result<Page<T>, ApiError> {
    let limit = limit(asked)? as usize;
    let after: Option<String> = from_cursor(after)?;
    items.sort_by(|a, b| name(a).cmp(name(b)));
    if let Some(after) = after {
        items.retain(|item| name(item) > after.as_str());
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items
        .last()
        .filter(|_| more)
        .map(|item| cursor(&name(item)));
    Ok(Page { items, next })
}
