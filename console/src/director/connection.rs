//! One client of the API: TLS against the installation's root and no other, a time limit on every request.
//!
//! Invariant: no plain text, no other certificate, no proxy of the environment; an answer is bounded.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use common::api::BASE;
use common::api::problem::{MEDIA_TYPE, Problem};
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DirectorError, ReadyAccess};

/// Longest wait for the connection of one address.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for an ordinary answer: more than the Director waits for a daemon.
const ANSWER: Duration = Duration::from_secs(60);
/// Longest silence of an event stream; the Director sends a comment each 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// The Director.
#[derive(Clone)]
pub struct Director {
    http: reqwest::Client,
    base: String,
    token: String,
    tried: String,
}

impl Director {
    /// Prepares the connection; nothing is sent yet.
    ///
    /// # Errors
    /// When no address resolves or the root certificate is unreadable.
    pub async fn open(access: &ReadyAccess) -> Result<Self, DirectorError> {
        let tried = access.addresses.join(", ");
        let unreachable = |reason: String| DirectorError::Unreachable {
            address: tried.clone(),
            reason,
        };
        let addresses = resolve(&access.addresses).await.map_err(unreachable)?;
        let port = addresses
            .first()
            .map(SocketAddr::port)
            .ok_or_else(|| unreachable("no address".into()))?;
        // The port of a request is the URL's: addresses with another port would be dialled wrongly.
        let same: Vec<SocketAddr> = addresses.into_iter().filter(|a| a.port() == port).collect();
        let root = reqwest::Certificate::from_pem_bundle(&access.root_pem).map_err(|e| {
            unreachable(format!("the root certificate is unreadable: {}", chain(&e)))
        })?;
        let http = reqwest::Client::builder()
            .tls_certs_only(root)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve_to_addrs(&access.name, &same)
            .connect_timeout(CONNECT)
            .read_timeout(ANSWER)
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| unreachable(chain(&e)))?;
        Ok(Self {
            http,
            base: format!("https://{}:{port}{BASE}", access.name),
            token: access.token.clone(),
            tried,
        })
    }

    /// `GET path?query`
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<T, DirectorError> {
        let request = self.request(&Method::GET, path, query)?;
        self.answer(&format!("GET {path}"), request).await
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, DirectorError> {
        let request = self.request(&Method::POST, path, &())?.json(body);
        self.answer(&format!("POST {path}"), request).await
    }

    /// An event stream; the caller reads it.
    pub(super) async fn stream(
        &self,
        path: &str,
        query: &impl Serialize,
    ) -> Result<Response, DirectorError> {
        let request = self
            .request(&Method::GET, path, query)?
            .header("accept", "text/event-stream");
        let response = tokio::time::timeout(SILENCE, request.send())
            .await
            .map_err(|_| self.unreachable("no answer in time".into()))?
            .map_err(|e| self.unreachable(chain(&e)))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(&format!("GET {path}"), response).await)
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        query: &impl Serialize,
    ) -> Result<reqwest::RequestBuilder, DirectorError> {
        let query = super::api::query_text(query).map_err(|reason| DirectorError::Answer {
            request: format!("{method} {path}"),
            reason,
        })?;
        let url = format!("{}{path}{query}", self.base);
        Ok(self
            .http
            .request(method.clone(), url)
            .bearer_auth(&self.token))
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        what: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<T, DirectorError> {
        let response = request
            .timeout(ANSWER)
            .send()
            .await
            .map_err(|e| self.unreachable(chain(&e)))?;
        if !response.status().is_success() {
            return Err(self.refusal(what, response).await);
        }
        let body = self.body(what, response).await?;
        serde_json::from_slice(&body).map_err(|e| DirectorError::Answer {
            request: what.to_owned(),
            reason: e.to_string(),
        })
    }

    async fn body(&self, what: &str, mut response: Response) -> Result<BytesMut, DirectorError> {
        let mut body = BytesMut::new();
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|e| self.unreachable(chain(&e)))?
        {
            body.extend_from_slice(&part);
            if body.len() > MAX_ANSWER {
                return Err(DirectorError::Answer {
                    request: what.to_owned(),
                    reason: format!("longer than {MAX_ANSWER} bytes"),
                });
            }
        }
        Ok(body)
    }

    async fn refusal(&self, what: &str, response: Response) -> DirectorError {
        let status = response.status();
        let is_problem = response
            .headers()
            .get("content-type")
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.starts_with(MEDIA_TYPE));
        let body = match self.body(what, response).await {
            Ok(body) => body,
            Err(e) => return e,
        };
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if is_problem => DirectorError::Refused(Box::new(problem)),
            _ => DirectorError::Answer {
                request: what.to_owned(),
                reason: format!("status {status} without a problem"),
            },
        }
    }

    fn unreachable(&self, reason: String) -> DirectorError {
        DirectorError::Unreachable {
            address: self.tried.clone(),
            reason,
        }
    }
}

async fn resolve(addresses: &[String]) -> Result<Vec<SocketAddr>, String> {
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for address in addresses {
        match tokio::time::timeout(CONNECT, tokio::net::lookup_host(address.as_str())).await {
            Ok(Ok(some)) => found.extend(some),
            Ok(Err(e)) => failures.push(format!("{address}: {e}")),
            Err(_) => failures.push(format!("{address}: no answer of the name service")),
        }
    }
    if found.is_empty() {
        Err(failures.join("; "))
    } else {
        Ok(found)
    }
}

/// An error with its causes, each said once: reqwest's own text alone hides the reason.
fn chain(error: &reqwest::Error) -> String {
    let mut at: Option<&dyn std::error::Error> = std::error::Error::source(error);
    let mut text = String::new();
    while let Some(cause) = at {
        let said = cause.to_string();
        if !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        at = cause.source();
    }
    if text.is_empty() {
        error.to_string()
    } else {
        text
    }
}
