//! The calls by name, and lists gathered page by page up to the number a person asked for.

use common::api::browse::{
    BrowseQuery, Entry, FindQuery, Found, Hit, Listing, Version, Versions, VersionsQuery,
};
use common::api::clients::{Client, ClientCheck};
use common::api::page::{MAX_LIMIT, Page};
use common::api::runs::{LogPage, LogQuery, Run};
use common::api::status::Status;
use common::ids::JobId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Director, DirectorError};

/// Most items of a list that a command shows whole.
pub const MOST: u32 = 100_000;

/// `?a=b&c=d` of a query struct; empty when nothing is set.
pub(super) fn query_text(query: &impl Serialize) -> Result<String, String> {
    let value = serde_json::to_value(query).map_err(|e| e.to_string())?;
    let serde_json::Value::Object(fields) = value else {
        return Ok(String::new());
    };
    let pairs: Vec<String> = fields
        .iter()
        .filter_map(|(key, value)| {
            let text = match value {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Some(format!("{key}={}", percent(&text)))
        })
        .collect();
    Ok(if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    })
}

/// Percent-encodes everything but unreserved characters.
#[must_use]
pub fn percent(text: &str) -> String {
    use std::fmt::Write;
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, b| {
            if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
                out.push(char::from(b));
            } else {
                let _ = write!(out, "%{b:02X}");
            }
            out
        })
}

/// A list gathered from pages, and whether there is more of it.
pub struct Gathered<T> {
    /// At most as many as asked for.
    pub items: Vec<T>,
    /// Whether the list goes on.
    pub more: bool,
}

impl Director {
    /// `GET /status`
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn status(&self) -> Result<Status, DirectorError> {
        self.get("/status", &()).await
    }

    /// `GET /clients/{name}`
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn client(&self, name: &str) -> Result<Client, DirectorError> {
        self.get(&format!("/clients/{}", percent(name)), &()).await
    }

    /// `POST /clients/{name}/check`
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn check_client(&self, name: &str) -> Result<ClientCheck, DirectorError> {
        self.post(
            &format!("/clients/{}/check", percent(name)),
            &serde_json::json!({}),
        )
        .await
    }

    /// `GET /runs/{id}`
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn run(&self, id: JobId) -> Result<Run, DirectorError> {
        self.get(&format!("/runs/{id}"), &()).await
    }

    /// `GET /runs/{id}/log`
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn log(&self, id: JobId, query: &LogQuery) -> Result<LogPage, DirectorError> {
        self.get(&format!("/runs/{id}/log"), query).await
    }

    /// A list of [`Page`]s, up to `most` items.
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
        most: u32,
    ) -> Result<Gathered<T>, DirectorError> {
        self.gather(path, query, most, |page: Page<T>| (page.items, page.next))
            .await
    }

    /// `GET /browse`, up to `most` entries; the first page tells the snapshot.
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn browse(
        &self,
        query: &BrowseQuery,
        most: u32,
    ) -> Result<(Option<Listing>, Gathered<Entry>), DirectorError> {
        let mut head: Option<Listing> = None;
        let entries = self
            .gather("/browse", query, most, |mut page: Listing| {
                let (entries, next) = (std::mem::take(&mut page.entries), page.next.take());
                head.get_or_insert(page);
                (entries, next)
            })
            .await?;
        Ok((head, entries))
    }

    /// `GET /find`
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn find(&self, query: &FindQuery, most: u32) -> Result<Gathered<Hit>, DirectorError> {
        self.gather("/find", query, most, |page: Found| (page.items, page.next))
            .await
    }

    /// `GET /versions`
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn versions(
        &self,
        query: &VersionsQuery,
        most: u32,
    ) -> Result<Gathered<Version>, DirectorError> {
        self.gather("/versions", query, most, |page: Versions| {
            (page.items, page.next)
        })
        .await
    }

    async fn gather<P: DeserializeOwned, T>(
        &self,
        path: &str,
        query: &impl Serialize,
        most: u32,
        mut open: impl FnMut(P) -> (Vec<T>, Option<String>),
    ) -> Result<Gathered<T>, DirectorError> {
        let answer = |reason: String| DirectorError::Answer {
            request: format!("GET {path}"),
            reason,
        };
        let mut fields = serde_json::to_value(query).map_err(|e| answer(e.to_string()))?;
        if fields.is_null() {
            fields = serde_json::json!({});
        }
        let most = most as usize;
        let mut items = Vec::new();
        let mut before: Option<String> = None;
        loop {
            let left = (most - items.len()).min(MAX_LIMIT as usize);
            if let Some(map) = fields.as_object_mut() {
                map.insert("limit".into(), left.into());
                map.insert("cursor".into(), before.clone().into());
            }
            let (mut some, next) = open(self.get(path, &fields).await?);
            items.append(&mut some);
            items.truncate(most);
            if next.is_some() && next == before {
                return Err(answer("the cursor does not move".into()));
            }
            let more = next.is_some();
            before = next;
            if !more || items.len() >= most {
                return Ok(Gathered { items, more });
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use common::api::text::PathText;

    #[test]
    fn queries_leave_out_what_is_not_set_and_escape_the_rest() {
        let query = BrowseQuery {
            client: Some("web 1".into()),
            job_id: Some(JobId(17)),
            path: Some(PathText("/a&b\\xff".into())),
            ..BrowseQuery::default()
        };
        assert_eq!(
            query_text(&query).unwrap(),
            "?client=web%201&job_id=17&path=%2Fa%26b%5Cxff"
        );
        assert_eq!(query_text(&()).unwrap(), "");
    }
}
