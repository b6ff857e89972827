//! The Director's one port: daemons, newcomers and the HTTP API, told apart by ALPN.

use std::net::SocketAddr;
use std::sync::Arc;

use common::net::acceptor::{Accepted, Acceptor, ListenError, Purpose};
use common::net::issuer::IssueError;
use common::net::tls::TlsError;
use common::shutdown::StopToken;

use super::conversation::converse;
use super::http::{self, HttpDoor, HttpService};
use super::newcomers;
use super::registry::Registry;
use crate::authority::Authority;

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
        let now = common::clock::now_ms();
        acceptor.set_http_certificate(keys.http_certificate(hosts, now)?)?;
        Ok(Self {
            acceptor,
            authority,
            registry,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.acceptor.addresses()
    }

    /// Serves until `stop`, then ends all connections.
    pub async fn run<S: HttpService>(self, api: S, stop: &StopToken) {
        let (authority, registry) = (self.authority, self.registry);
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
        self.acceptor.run(stop, handler).await;
    }
}
