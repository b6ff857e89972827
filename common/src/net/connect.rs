//! Dialling: all addresses of a peer in turn, each with its limit, and a failure that names every one of them.
//!
//! The peer is dialled by address and known by certificate: whoever answers must be the identity asked for.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use super::framed::{FrameReader, FrameWriter, SOCKET_BUFFER, TLS_BUFFER, TlsSocket, split};
use super::pki::CredentialStore;
use super::tls::{self, PeerCertificate, TlsError};
use crate::ids::Identity;

/// Looking a name up, and TCP to one socket address, may each take this long.
const REACH_LIMIT: Duration = Duration::from_secs(5);
/// Socket addresses tried of one name.
const MAX_SOCKET_ADDRESSES: usize = 8;
/// The TLS handshake may take this long.
const DIAL_LIMIT: Duration = Duration::from_secs(10);

/// A framed connection whose peer is known.
#[derive(Debug)]
pub struct Connection {
    /// For the reading task.
    pub reader: FrameReader,
    /// For the writing task.
    pub writer: FrameWriter,
    /// Who is at the other end.
    pub peer: Identity,
    /// Serial number of the peer's certificate: watch it with [`tls::RevokedSerials::revoked`].
    pub serial: Vec<u8>,
    /// What the connection is for.
    pub alpn: Vec<u8>,
    /// Where it comes from or goes to.
    pub remote: SocketAddr,
}

/// Why one address did not do.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address, or the connection was refused or failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nothing within the limit.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The handshake failed: usually another installation, or not a daemon at all.
    #[error("TLS handshake failed: {0}")]
    Handshake(io::Error),
    /// The peer does not speak this protocol.
    #[error("peer does not offer the protocol asked for")]
    Protocol,
    /// Its certificate is no good.
    #[error("{0}")]
    Certificate(#[from] TlsError),
    /// Its certificate is another daemon's.
    #[error("answered by {0}")]
    WrongPeer(Identity),
    /// Its certificate was revoked.
    #[error("its certificate was revoked")]
    Revoked,
}

/// Why no address did: each with its failure.
#[derive(Debug, thiserror::Error)]
pub struct ConnectError {
    /// Who was dialled.
    pub peer: String,
    /// Every address tried, in order.
    pub failures: Vec<(String, DialError)>,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}", self.peer)?;
        if self.failures.is_empty() {
            return f.write_str(": no address is known");
        }
        for (nth, (address, failure)) in self.failures.iter().enumerate() {
            let glue = if nth == 0 { ": " } else { "; " };
            write!(f, "{glue}{address}: {failure}")?;
        }
        Ok(())
    }
}

/// Dials `peer` at each address (`host:port`) in turn.
///
/// # Errors
/// When none did.
pub async fn connect(
    addresses: &[String],
    peer: Identity,
    alpn: &'static [u8],
    store: &CredentialStore,
) -> Result<Connection, ConnectError> {
    let mut failures = Vec::new();
    for address in addresses {
        match dial_peer(address, peer, alpn, store).await {
            Ok(connection) => return Ok(connection),
            Err(e) => failures.push((address.clone(), e)),
        }
    }
    Err(ConnectError {
        peer: peer.to_string(),
        failures,
    })
}

async fn dial_peer(
    address: &str,
    peer: Identity,
    alpn: &'static [u8],
    store: &CredentialStore,
) -> Result<Connection, DialError> {
    let config = Arc::new(tls::client_config(&store.current(), alpn)?);
    let dialled = dial(address, &peer.dns_name(), config).await?;
    if dialled.certificate.identity != peer {
        return Err(DialError::WrongPeer(dialled.certificate.identity));
    }
    if store.revoked().contains(&dialled.certificate.serial) {
        return Err(DialError::Revoked);
    }
    let (reader, writer) = split(dialled.socket);
    Ok(Connection {
        reader,
        writer,
        peer,
        serial: dialled.certificate.serial,
        alpn: alpn.to_vec(),
        remote: dialled.remote,
    })
}

/// A finished handshake on the dialling side.
pub(super) struct Dialled {
    pub socket: TlsSocket,
    pub certificate: PeerCertificate,
    pub remote: SocketAddr,
}

/// One address: every socket address its name stands for, then the handshake.
pub(super) async fn dial(
    address: &str,
    dns_name: &str,
    config: Arc<ClientConfig>,
) -> Result<Dialled, DialError> {
    let name = ServerName::try_from(dns_name.to_owned())
        .map_err(|e| TlsError::Name(format!("{dns_name}: {e}")))?;
    let tcp = reach(address).await?;
    tune(&tcp)?;
    let remote = tcp.peer_addr()?;
    let connector = TlsConnector::from(config);
    let io = BufReader::with_capacity(SOCKET_BUFFER, tcp);
    let handshake = connector.connect_with(name, io, |c| c.set_buffer_limit(Some(TLS_BUFFER)));
    let socket = timeout(DIAL_LIMIT, handshake)
        .await
        .map_err(|_| DialError::Timeout(DIAL_LIMIT))?
        .map_err(DialError::Handshake)?;
    let (_, session) = socket.get_ref();
    if session.alpn_protocol().is_none() {
        return Err(DialError::Protocol);
    }
    let leaf = session
        .peer_certificates()
        .and_then(<[_]>::first)
        .ok_or(TlsError::Unreadable)?;
    let certificate = PeerCertificate::read(leaf)?;
    Ok(Dialled {
        socket: TlsStream::Client(socket),
        certificate,
        remote,
    })
}

/// Every socket address a name stands for, in turn: one that does not answer does not hide the next.
async fn reach(address: &str) -> Result<TcpStream, DialError> {
    let found = timeout(REACH_LIMIT, tokio::net::lookup_host(address)).await;
    let found = found.map_err(|_| DialError::Timeout(REACH_LIMIT))??;
    let mut failure = DialError::Io(io::Error::other("the name has no address"));
    for one in found.take(MAX_SOCKET_ADDRESSES) {
        failure = match timeout(REACH_LIMIT, TcpStream::connect(one)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(e)) => e.into(),
            Err(_) => DialError::Timeout(REACH_LIMIT),
        };
    }
    Err(failure)
}

/// No delay for small frames; a dead peer is noticed by the system within 30 s, read or write.
pub(super) fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(30)))
}
