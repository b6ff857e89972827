//! Listening: one port, told apart by ALPN, and nothing but TLS before a peer is known.
//!
//! At most 256 connections whose peer is not known, 64 of them from one address, 10 s for the whole handshake. A peer
//! that offers none of our purposes, speaks plain text or random bytes is refused with one log line.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;

use super::connect::Connection;
use super::door::{Door, Refusal};
pub use super::door::{HANDSHAKE_LIMIT, MAX_UNKNOWN, MAX_UNKNOWN_PER_ADDRESS, UnknownPeer};
use super::framed::{TlsSocket, split};
use super::pki::CredentialStore;
use super::tls::{ClientAuth, PeerCertificate, TlsError};
use crate::protocol::frame::alpn;
use crate::shutdown::{StopToken, Tasks};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A daemon's conversation with the Director.
    Control,
    /// A session's bytes.
    Data,
    /// A newcomer with a token; no certificate.
    Enrol,
    /// A daemon renews its certificate, expired or not.
    Renew,
    /// The HTTP API; no certificate.
    Http,
}

impl Purpose {
    /// The ALPN names that ask for it.
    #[must_use]
    pub fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Self::Control => &[alpn::CONTROL],
            Self::Data => &[alpn::DATA],
            Self::Enrol => &[alpn::ENROL],
            Self::Renew => &[alpn::RENEW],
            Self::Http => &[b"h2", b"http/1.1"],
        }
    }

    pub(super) fn client_auth(self) -> ClientAuth {
        match self {
            Self::Control | Self::Data => ClientAuth::Required,
            Self::Renew => ClientAuth::RequiredMaybeExpired,
            Self::Enrol | Self::Http => ClientAuth::None,
        }
    }
}

/// A peer that came through.
#[derive(Debug)]
pub struct Accepted {
    /// What for.
    pub purpose: Purpose,
    /// Its certificate, checked; `None` for Enrol and Http.
    pub peer: Option<PeerCertificate>,
    /// The connection.
    pub socket: TlsSocket,
    /// Where it comes from.
    pub remote: SocketAddr,
    /// Held while the peer is unknown: drop it once it is, or at the end.
    pub unknown: Option<UnknownPeer>,
}

impl Accepted {
    /// As a framed connection of a known peer; gives itself back when the peer has no certificate.
    ///
    /// # Errors
    /// Itself.
    #[allow(clippy::result_large_err)] // it is the value, given back
    pub fn into_connection(self) -> Result<Connection, Self> {
        let Some(peer) = self.peer else {
            return Err(self);
        };
        let alpn = self.socket.get_ref().1.alpn_protocol();
        let alpn = alpn.unwrap_or_default().to_vec();
        let (reader, writer) = split(self.socket);
        Ok(Connection {
            reader,
            writer,
            peer: peer.identity,
            serial: peer.serial,
            alpn,
            remote: self.remote,
        })
    }
}

/// Certificate chain and key shown to browsers and the console: it carries host names, not a daemon's.
#[derive(Debug)]
pub struct HttpCertificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// Bound sockets and what they accept.
#[derive(Debug)]
pub struct Acceptor {
    listeners: Vec<TcpListener>,
    door: Arc<Door>,
}

/// The certificate that HTTP clients see.
#[derive(Debug, Clone)]
pub struct HttpFront {
    door: Arc<Door>,
}

impl HttpFront {
    /// Shows this certificate from the next handshake on.
    ///
    /// # Errors
    /// When it is no good; the old one then stays.
    pub fn show(&self, shown: HttpCertificate) -> Result<(), TlsError> {
        self.door.show(shown)
    }
}

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// `host:port`.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The credentials are no good.
    #[error("cannot offer TLS")]
    Tls(#[from] TlsError),
}

impl Acceptor {
    /// Binds every address (`host:port`, port 0 = any).
    ///
    /// # Errors
    /// An address is taken or wrong, or the credentials are no good.
    pub async fn bind(
        addresses: &[String],
        purposes: &'static [Purpose],
        store: Arc<CredentialStore>,
    ) -> Result<Self, ListenError> {
        let mut listeners = Vec::new();
        for address in addresses {
            let bound = TcpListener::bind(address).await;
            listeners.push(bound.map_err(|source| ListenError::Bind {
                address: address.clone(),
                source,
            })?);
        }
        Ok(Self {
            listeners,
            door: Arc::new(Door::new(purposes, store)?),
        })
    }

    /// Changes what HTTP clients are shown, also while it runs.
    #[must_use]
    pub fn http_front(&self) -> HttpFront {
        HttpFront {
            door: self.door.clone(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let bound = self.listeners.iter().filter_map(|l| l.local_addr().ok());
        bound.collect()
    }

    /// Accepts until `stop`; each peer that came through is handled in a task of its own. Returns after all of them
    /// ended, or 10 s after `stop`: a handler watches the token it is given.
    pub async fn run<H, F>(self, stop: &StopToken, handler: H)
    where
        H: Fn(Accepted, StopToken) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = Tasks::child_of(stop);
        for listener in self.listeners {
            let loop_tasks = tasks.clone();
            let door = self.door.clone();
            let handler = handler.clone();
            tasks.spawn(async move {
                let stop = loop_tasks.stop_token().clone();
                tokio::select! {
                    () = accept_loop(&listener, &door, &loop_tasks, &handler) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        stop.cancelled().await;
        if !tasks.join(Duration::from_secs(10)).await {
            tracing::warn!("connections still open 10 s after the stop; leaving them");
        }
    }
}

async fn accept_loop<H, F>(listener: &TcpListener, door: &Arc<Door>, tasks: &Tasks, handler: &H)
where
    H: Fn(Accepted, StopToken) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((tcp, remote)) => {
                let Some(place) = door.admit(remote) else {
                    tracing::warn!(%remote, "refused: too many connections of unknown peers");
                    continue;
                };
                let (door, handler) = (door.clone(), handler.clone());
                let stop = tasks.stop_token().clone();
                tasks.spawn(async move {
                    match door.handshake(tcp, remote, place).await {
                        Ok(accepted) => handler(accepted, stop).await,
                        Err(Refusal::Left) => tracing::debug!(%remote, "left without a word"),
                        Err(e) => tracing::warn!(%remote, "refused: {e}"),
                    }
                });
            }
            Err(e) => {
                // Out of descriptors, mostly: it passes when connections end.
                tracing::warn!("cannot accept a connection: {e}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}
