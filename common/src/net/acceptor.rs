//! Listening: one port, told apart by ALPN, and nothing but TLS before a peer is known.
//!
//! At most 256 connections whose peer is not known, 64 of them from one address, 10 s for the whole handshake. A peer
//! that offers none of our purposes, speaks plain text or random bytes is refused with one log line.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::Acceptor as HelloReader;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use super::connect::{Connection, tune};
use super::framed::{SOCKET_BUFFER, TLS_BUFFER, TlsSocket, split};
use super::pki::{CredentialStore, Credentials};
use super::tls::{self, ClientAuth, PeerCertificate, TlsError};
use crate::protocol::frame::alpn;
use crate::shutdown::{StopToken, Tasks};

/// Connections whose peer is not known yet.
pub const MAX_UNKNOWN: usize = 256;
/// Of those, from one address.
pub const MAX_UNKNOWN_PER_ADDRESS: usize = 64;
/// For the whole handshake.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

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

    fn client_auth(self) -> ClientAuth {
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

/// A place among the connections of unknown peers.
#[derive(Debug)]
pub struct UnknownPeer {
    address: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for UnknownPeer {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(n) = counts.get_mut(&self.address) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                counts.remove(&self.address);
            }
        }
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

/// The TLS side, shared by all handshakes; its certificates can change while running.
#[derive(Debug)]
struct Door {
    purposes: &'static [Purpose],
    store: Arc<CredentialStore>,
    http: ArcSwap<Option<HttpCertificate>>,
    configs: ArcSwap<Configs>,
    permits: Arc<Semaphore>,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

#[derive(Debug)]
struct Configs {
    made_of: Arc<Credentials>,
    by_purpose: Vec<(Purpose, Arc<ServerConfig>)>,
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
        let door = &self.door;
        let configs = Configs::make(door.purposes, door.store.current(), Some(&shown))?;
        door.http.store(Arc::new(Some(shown)));
        door.configs.store(Arc::new(configs));
        Ok(())
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
        let configs = Configs::make(purposes, store.current(), None)?;
        let door = Door {
            purposes,
            store,
            http: ArcSwap::from_pointee(None),
            configs: ArcSwap::from_pointee(configs),
            permits: Arc::new(Semaphore::new(MAX_UNKNOWN)),
            counts: Arc::default(),
        };
        Ok(Self {
            listeners,
            door: Arc::new(door),
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

/// Why a peer was not let in.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no whole handshake within {} s", HANDSHAKE_LIMIT.as_secs())]
    Slow,
    #[error("not TLS, or the handshake failed: {0}")]
    Handshake(#[from] io::Error),
    #[error("offers no protocol spoken here")]
    Alpn,
    #[error("{0}")]
    Certificate(#[from] TlsError),
    #[error("certificate of {0} was revoked")]
    Revoked(crate::ids::Identity),
}

impl Door {
    fn admit(&self, remote: SocketAddr) -> Option<UnknownPeer> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        let address = remote.ip();
        let mut counts = self.counts.lock();
        let count = counts.entry(address).or_insert(0);
        if *count >= MAX_UNKNOWN_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(UnknownPeer {
            address,
            counts: self.counts.clone(),
            _permit: permit,
        })
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        remote: SocketAddr,
        place: UnknownPeer,
    ) -> Result<Accepted, Refusal> {
        tune(&tcp)?;
        let deadline = Instant::now() + HANDSHAKE_LIMIT;
        let io = BufReader::with_capacity(SOCKET_BUFFER, tcp);
        let hello = LazyConfigAcceptor::new(HelloReader::default(), io);
        let start = timeout_at(deadline, hello)
            .await
            .map_err(|_| Refusal::Slow)??;
        let (purpose, config) = self.choose(&start.client_hello())?;
        let accept = start.into_stream_with(config, |c| c.set_buffer_limit(Some(TLS_BUFFER)));
        let socket = timeout_at(deadline, accept)
            .await
            .map_err(|_| Refusal::Slow)??;
        let shown = socket.get_ref().1.peer_certificates();
        let peer = match shown.and_then(<[_]>::first) {
            Some(leaf) if purpose.client_auth() != ClientAuth::None => {
                Some(PeerCertificate::read(leaf)?)
            }
            _ => None,
        };
        if let Some(peer) = &peer
            && self.store.revoked().contains(&peer.serial)
        {
            return Err(Refusal::Revoked(peer.identity));
        }
        Ok(Accepted {
            purpose,
            unknown: peer.is_none().then_some(place),
            peer,
            socket: TlsStream::Server(socket),
            remote,
        })
    }

    /// The first purpose the peer offers and this listener has.
    fn choose(
        &self,
        hello: &rustls::server::ClientHello<'_>,
    ) -> Result<(Purpose, Arc<ServerConfig>), Refusal> {
        let wanted = match hello.alpn() {
            None => Some(Purpose::Http),
            Some(mut offered) => offered.find_map(purpose_of),
        };
        let configs = self.current_configs()?;
        let found = configs.by_purpose.iter().find(|(p, _)| Some(*p) == wanted);
        found.cloned().ok_or(Refusal::Alpn)
    }

    /// Made anew when the credentials were renewed since.
    fn current_configs(&self) -> Result<Arc<Configs>, TlsError> {
        let configs = self.configs.load_full();
        let current = self.store.current();
        if Arc::ptr_eq(&configs.made_of, &current) {
            return Ok(configs);
        }
        let http = self.http.load();
        let fresh = Arc::new(Configs::make(
            self.purposes,
            current,
            http.as_ref().as_ref(),
        )?);
        self.configs.store(fresh.clone());
        Ok(fresh)
    }
}

fn purpose_of(alpn: &[u8]) -> Option<Purpose> {
    use Purpose as P;
    [P::Control, P::Data, P::Enrol, P::Renew, P::Http]
        .into_iter()
        .find(|p| p.alpn().contains(&alpn))
}

impl Configs {
    fn make(
        purposes: &[Purpose],
        made_of: Arc<Credentials>,
        http: Option<&HttpCertificate>,
    ) -> Result<Self, TlsError> {
        let mut by_purpose = Vec::new();
        for &purpose in purposes {
            let (names, auth) = (purpose.alpn(), purpose.client_auth());
            let config = match (purpose, http) {
                (Purpose::Http, Some(http)) => {
                    let shown = (http.chain.clone(), http.key.clone_key());
                    tls::server_config_with(&made_of, shown, names, auth)?
                }
                _ => tls::server_config(&made_of, names, auth)?,
            };
            by_purpose.push((purpose, Arc::new(config)));
        }
        Ok(Self {
            made_of,
            by_purpose,
        })
    }
}
