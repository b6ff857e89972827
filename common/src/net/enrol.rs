//! Joining and staying: a newcomer's token becomes a certificate; a certificate becomes its successor.
//!
//! The newcomer checks the root's hash before it says its secret. Keys are made here and never leave.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::connect::{ConnectError, DialError, connect, dial};
use super::framed::{FrameError, FrameReader, FrameWriter, split};
use super::pki::{CredentialParts, CredentialStore, Credentials, PendingKey, PkiError};
use super::tls::{self, TlsError};
use crate::ids::Role;
use crate::protocol::enrol::{EnrolReply, EnrolRequest, RenewRequest, Token};
use crate::protocol::frame::{FrameType, alpn};

/// Why no certificate was got.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token is for another kind of daemon.
    #[error("this token enrols a {token}, not a {this}; make one for this role")]
    Role {
        /// The token's.
        token: String,
        /// This program's.
        this: Role,
    },
    /// No address answered as the token's Director.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The Director refused, or the connection failed.
    #[error("the Director gave no certificate")]
    Talk(#[from] FrameError),
    /// The answer does not fit.
    #[error("the Director's answer does not fit: {0}")]
    Answer(String),
    /// Key, certificate or folder.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// TLS configuration.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Joins the installation and saves the pki folder, replacing an older enrolment.
///
/// # Errors
/// Wrong role, no such Director, token refused, folder not writable.
pub async fn enrol(token: &Token, role: Role, folder: &Path) -> Result<Credentials, EnrolError> {
    if token.role != role.label() {
        return Err(EnrolError::Role {
            token: token.role.clone(),
            this: role,
        });
    }
    let root_sha256 = token.root_sha256.as_slice().try_into();
    let root_sha256 = root_sha256.map_err(|_| EnrolError::Answer("root hash".into()))?;
    let (mut reader, mut writer) = dial_director(token, root_sha256).await?;
    let key = PendingKey::generate()?;
    let request = EnrolRequest {
        secret: token.secret.clone(),
        csr: key.request()?,
        host: host_name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    writer
        .send_message(FrameType::EnrolRequest, &request)
        .await?;
    let reply = reader
        .expect(FrameType::EnrolReply, "an enrolment reply")
        .await?;
    let credentials = accept(reply, key)?;
    if tls::sha256(&credentials.root) != root_sha256 {
        return Err(EnrolError::Answer("another root than the token's".into()));
    }
    if credentials.identity.role != role {
        return Err(EnrolError::Answer("a certificate for another role".into()));
    }
    credentials.save(folder)?;
    Ok(credentials)
}

async fn dial_director(
    token: &Token,
    root_sha256: [u8; 32],
) -> Result<(FrameReader, FrameWriter), EnrolError> {
    let config = Arc::new(tls::enrol_client_config(root_sha256)?);
    let mut failures: Vec<(String, DialError)> = Vec::new();
    for address in &token.addresses {
        match dial(address, &token.director, config.clone()).await {
            Ok(dialled) => return Ok(split(dialled.socket)),
            Err(e) => failures.push((address.clone(), e)),
        }
    }
    let peer = "the Director of this token".to_owned();
    Err(ConnectError { peer, failures }.into())
}

/// Gets a fresh certificate for a fresh key, with the current one, expired or not, and switches to it.
///
/// # Errors
/// Not reachable, refused (revoked), or the folder is not writable.
pub async fn renew(store: &Arc<CredentialStore>, addresses: &[String]) -> Result<(), EnrolError> {
    let old = store.current();
    let mut connection = connect(addresses, old.director, alpn::RENEW, store).await?;
    let key = PendingKey::generate()?;
    let request = RenewRequest {
        csr: key.request()?,
    };
    let writer = &mut connection.writer;
    writer
        .send_message(FrameType::RenewRequest, &request)
        .await?;
    let reader = &mut connection.reader;
    let reply = reader
        .expect(FrameType::EnrolReply, "a renewal reply")
        .await?;
    let fresh = accept(reply, key)?;
    if fresh.identity != old.identity || fresh.root != old.root {
        return Err(EnrolError::Answer("a certificate of someone else".into()));
    }
    let store = store.clone();
    let saved = tokio::task::spawn_blocking(move || store.replace(fresh)).await;
    saved.map_err(|e| EnrolError::Answer(e.to_string()))??;
    Ok(())
}

fn accept(reply: EnrolReply, key: PendingKey) -> Result<Credentials, EnrolError> {
    let chain: Vec<_> = reply.chain.into_iter().map(CertificateDer::from).collect();
    let credentials = Credentials::new(CredentialParts {
        name: reply.name,
        director: reply.director,
        root: CertificateDer::from(reply.root),
        chain,
        key: key.into_private_key(),
    })?;
    // rustls checks that key and certificate belong together.
    tls::client_config(&credentials, alpn::CONTROL)?;
    if reply.id == credentials.identity.id.as_bytes() {
        Ok(credentials)
    } else {
        Err(EnrolError::Answer(
            "uuid differs from the certificate's".into(),
        ))
    }
}

/// This machine's host name, for the record.
#[must_use]
pub fn host_name() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}
