//! The Director's one port: daemons, newcomers and the HTTP API, told apart by ALPN.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::net::acceptor::{Accepted, Acceptor, HttpFront, ListenError, Purpose};
use common::net::issuer::IssueError;
use common::net::tls::TlsError;
use common::shutdown::StopToken;

use super::conversation::converse;
use super::http::{self, HttpDoor, HttpService};
use super::newcomers;
use super::registry::Registry;
use crate::authority::{Authority, Keys};

/// What the Director's port is for.
pub const PURPOSES: &[Purpose] = &[
    Purpose::Control,
    Purpose::Enrol,
    Purpose::Renew,
    Purpose::Http,
];

/// Why the port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// Address or credentials.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate for HTTP clients.
    #[error("cannot make the certificate for HTTP clients")]
    Issue(#[from] IssueError),
    /// The same.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The opened port.
#[derive(Debug)]
pub struct Listener {
    acceptor: Acceptor,
    front: HttpSide,
    authority: Arc<Authority>,
    registry: Registry,
}

impl Listener {
    /// Binds `addresses`; HTTP clients are shown a certificate for `hosts` (names and IP addresses).
    ///
    /// # Errors
    /// An address is taken, a host name is none.
    pub async fn bind(
        addresses: &[String],
        hosts: &[String],
        (authority, registry): (Arc<Authority>, Registry),
    ) -> Result<Self, ListenerError> {
        let keys = authority.keys();
        let acceptor = Acceptor::bind(addresses, PURPOSES, keys.store().clone()).await?;
        let front = HttpSide {
            front: acceptor.http_front(),
            hosts: hosts.to_vec(),
        };
        front.renew(keys)?;
        Ok(Self {
            acceptor,
            front,
            authority,
            registry,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.acceptor.addresses()
    }

    /// Serves until `stop`, then ends all connections. HTTP clients are shown a fresh certificate each day.
    pub async fn run<S: HttpService>(self, api: S, stop: &StopToken) {
        let (authority, registry) = (self.authority, self.registry);
        let keys = authority.keys().clone();
        let door = Arc::new(HttpDoor::default());
        let handler = move |accepted: Accepted, stop: StopToken| {
            let (authority, registry) = (authority.clone(), registry.clone());
            let (api, door) = (api.clone(), door.clone());
            async move {
                match accepted.purpose {
                    Purpose::Control => {
                        if let Ok(connection) = accepted.into_connection() {
                            converse(registry, connection, stop).await;
                        }
                    }
                    Purpose::Enrol => newcomers::enrol(&authority, accepted).await,
                    Purpose::Renew => newcomers::renew(&authority, accepted).await,
                    Purpose::Http => http::serve(&door, accepted, api, &stop).await,
                    Purpose::Data => {}
                }
            }
        };
        tokio::join!(
            self.acceptor.run(stop, handler),
            self.front.keep_fresh(&keys, stop)
        );
    }
}

/// What HTTP clients are shown.
#[derive(Debug)]
struct HttpSide {
    front: HttpFront,
    hosts: Vec<String>,
}

impl HttpSide {
    fn renew(&self, keys: &Keys) -> Result<(), ListenerError> {
        let now = common::clock::now_ms();
        self.front.show(keys.http_certificate(&self.hosts, now)?)?;
        Ok(())
    }

    /// A fresh certificate each day: it lives for weeks, so a day without one is no harm.
    async fn keep_fresh(&self, keys: &Keys, stop: &StopToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(86_400)) => {}
                () = stop.cancelled() => return,
            }
            if let Err(e) = self.renew(keys) {
                tracing::error!("cannot renew the certificate for HTTP clients: {e}");
            }
        }
    }
}
