//! The door of a listener: who may try, what the ClientHello asks for, and the handshake within its limits.
//!
//! Never more than one deadline for the whole handshake; never a configuration made of credentials that were replaced.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::Acceptor as HelloReader;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use super::acceptor::{Accepted, HttpCertificate, Purpose};
use super::connect::tune;
use super::framed::{SOCKET_BUFFER, TLS_BUFFER};
use super::pki::{CredentialStore, Credentials};
use super::tls::{self, ClientAuth, PeerCertificate, TlsError};
use crate::ids::Identity;

/// Connections whose peer is not known yet.
pub const MAX_UNKNOWN: usize = 256;
/// Of those, from one address.
pub const MAX_UNKNOWN_PER_ADDRESS: usize = 64;
/// For the whole handshake.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

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

/// The TLS side, shared by all handshakes; its certificates can change while running.
#[derive(Debug)]
pub(super) struct Door {
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

/// Why a peer was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no whole handshake within {} s", HANDSHAKE_LIMIT.as_secs())]
    Slow,
    #[error("not TLS, or the handshake failed: {0}")]
    Handshake(#[from] io::Error),
    #[error("offers no protocol spoken here")]
    Alpn,
    #[error("{0}")]
    Certificate(#[from] TlsError),
    #[error("certificate of {0} was revoked")]
    Revoked(Identity),
    #[error("left without a word")]
    Left,
}

impl Door {
    pub fn new(
        purposes: &'static [Purpose],
        store: Arc<CredentialStore>,
    ) -> Result<Self, TlsError> {
        let configs = Configs::make(purposes, store.current(), None)?;
        Ok(Self {
            purposes,
            store,
            http: ArcSwap::from_pointee(None),
            configs: ArcSwap::from_pointee(configs),
            permits: Arc::new(Semaphore::new(MAX_UNKNOWN)),
            counts: Arc::default(),
        })
    }

    /// From the next handshake on.
    pub fn show(&self, shown: HttpCertificate) -> Result<(), TlsError> {
        let configs = Configs::make(self.purposes, self.store.current(), Some(&shown))?;
        self.http.store(Arc::new(Some(shown)));
        self.configs.store(Arc::new(configs));
        Ok(())
    }

    /// A place for one more stranger; `None` = too many are there.
    pub fn admit(&self, remote: SocketAddr) -> Option<UnknownPeer> {
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

    /// TLS, role and revocation, within the limit.
    pub async fn handshake(
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
            .map_err(|_| Refusal::Slow)?
            .map_err(left_or_failed)?;
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

/// Probes of load balancers and monitors connect and leave: no news.
fn left_or_failed(e: io::Error) -> Refusal {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => Refusal::Left,
        _ => Refusal::Handshake(e),
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
