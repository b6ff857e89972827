//! A daemon's certificate, key and the root it trusts: the `pki` folder, loaded, saved and renewed.
//!
//! ```text
//! root.pem     the installation's root certificate
//! cert.pem     own certificate, then the issuing one
//! key.pem      own private key (0600): made here, never leaves
//! daemon.toml  uuid, role, name, the Director's DNS name
//! revoked      serial numbers the Director took back, one a line
//! ```
//! Key and certificate change together: both are written under `*.next.pem` and renamed, key first; a crash in between
//! is finished at the next load. Never a key without its certificate.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use super::store::CredentialStore;
use super::tls::PeerCertificate;
use crate::durable;
use crate::ids::{Identity, Role};

/// Why a pki folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// `read` or `write`.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} does not hold {what}; enrol this daemon again", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The folder is not there: the daemon was never enrolled.
    #[error("no certificate in {}; enrol this daemon first: `enrol --token TOKEN`", path.display())]
    NotEnrolled {
        /// The pki folder.
        path: PathBuf,
    },
    /// Key or certificate request could not be made, or a certificate could not be read.
    #[error("cannot make or read a certificate: {0}")]
    Certificate(String),
}

/// What a daemon is and proves: immutable; a renewal makes a new one.
#[derive(Debug)]
pub struct Credentials {
    /// Own identity: role and uuid.
    pub identity: Identity,
    /// Own label.
    pub name: String,
    /// The Director of this installation.
    pub director: Identity,
    /// The installation's root certificate.
    pub root: CertificateDer<'static>,
    /// Own certificate, then the issuing one.
    pub chain: Vec<CertificateDer<'static>>,
    /// Own private key.
    pub key: PrivateKeyDer<'static>,
    /// Own certificate's serial number and validity.
    pub own: PeerCertificate,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DaemonFile {
    uuid: Uuid,
    role: Role,
    name: String,
    director: String,
}

impl Credentials {
    /// Puts the parts together and checks that they belong together.
    ///
    /// # Errors
    /// When a certificate cannot be read, or it is not this daemon's.
    pub fn new(parts: CredentialParts) -> Result<Self, PkiError> {
        let leaf = parts
            .chain
            .first()
            .ok_or_else(|| PkiError::Certificate("the chain is empty".into()))?;
        let own = PeerCertificate::read(leaf)
            .map_err(|e| PkiError::Certificate(format!("own certificate: {e}")))?;
        let director = Identity::from_dns_name(&parts.director)
            .map_err(|e| PkiError::Certificate(e.to_string()))?;
        Ok(Self {
            identity: own.identity,
            name: parts.name,
            director,
            root: parts.root,
            chain: parts.chain,
            key: parts.key,
            own,
        })
    }

    /// Loads the folder, finishing a renewal that a crash interrupted.
    ///
    /// # Errors
    /// Not enrolled, or a file is missing or damaged.
    pub fn load(folder: &Path) -> Result<Self, PkiError> {
        finish_renewal(folder)?;
        let daemon_path = folder.join("daemon.toml");
        if !present(&daemon_path)? {
            return Err(PkiError::NotEnrolled {
                path: folder.to_owned(),
            });
        }
        let content = |path: &Path, what| PkiError::Content {
            path: path.to_owned(),
            what,
        };
        let text = read(&daemon_path)?;
        let daemon: DaemonFile = std::str::from_utf8(&text)
            .ok()
            .and_then(|t| toml::from_str(t).ok())
            .ok_or_else(|| content(&daemon_path, "uuid, role, name and director"))?;
        let root_path = folder.join("root.pem");
        let root = CertificateDer::from_pem_slice(&read(&root_path)?)
            .map_err(|_| content(&root_path, "a certificate"))?;
        let cert_path = folder.join("cert.pem");
        let chain = CertificateDer::pem_slice_iter(&read(&cert_path)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| content(&cert_path, "certificates"))?;
        let key_path = folder.join("key.pem");
        let key = PrivateKeyDer::from_pem_slice(&read(&key_path)?)
            .map_err(|_| content(&key_path, "a private key"))?;
        let credentials = Self::new(CredentialParts {
            name: daemon.name,
            director: daemon.director,
            root,
            chain,
            key,
        })?;
        let said = Identity {
            role: daemon.role,
            id: daemon.uuid,
        };
        if said == credentials.identity {
            Ok(credentials)
        } else {
            Err(content(&daemon_path, "the identity of cert.pem"))
        }
    }

    /// Saves into the folder (made 0700), so that a crash at any point leaves the old or the new whole.
    ///
    /// # Errors
    /// What the file system said.
    pub fn save(&self, folder: &Path) -> Result<(), PkiError> {
        let write = |name: &str, bytes: &[u8], mode| {
            let path = folder.join(name);
            durable::write_atomic(&path, bytes, mode).map_err(|e| file("write", &path, e))
        };
        durable::create_folder(folder, 0o700).map_err(|e| file("write", folder, e))?;
        write(
            "root.pem",
            pem("CERTIFICATE", &self.root).as_bytes(),
            durable::PUBLIC,
        )?;
        let key = pem("PRIVATE KEY", self.key.secret_der());
        write("key.next.pem", key.as_bytes(), durable::SECRET)?;
        let chain: String = self.chain.iter().map(|c| pem("CERTIFICATE", c)).collect();
        write("cert.next.pem", chain.as_bytes(), durable::PUBLIC)?;
        finish_renewal(folder)?;
        let daemon = DaemonFile {
            uuid: self.identity.id,
            role: self.identity.role,
            name: self.name.clone(),
            director: self.director.dns_name(),
        };
        let text = toml::to_string(&daemon).map_err(|e| PkiError::Certificate(e.to_string()))?;
        write("daemon.toml", text.as_bytes(), durable::PUBLIC)
    }

    /// When to renew, in milliseconds since the epoch: at two thirds of the certificate's life.
    #[must_use]
    pub fn renew_at_ms(&self) -> i64 {
        let life = self.own.not_after_ms.saturating_sub(self.own.not_before_ms);
        self.own.not_before_ms.saturating_add(life / 3 * 2)
    }
}

/// What [`Credentials::new`] puts together.
#[derive(Debug)]
pub struct CredentialParts {
    /// Own label.
    pub name: String,
    /// The Director's DNS name.
    pub director: String,
    /// Root certificate.
    pub root: CertificateDer<'static>,
    /// Own certificate, then the issuing one.
    pub chain: Vec<CertificateDer<'static>>,
    /// Own private key.
    pub key: PrivateKeyDer<'static>,
}

/// A fresh key that waits for its certificate.
pub struct PendingKey {
    key: KeyPair,
}

impl PendingKey {
    /// Makes an ECDSA P-256 key.
    ///
    /// # Errors
    /// When the provider fails.
    pub fn generate() -> Result<Self, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(certificate)?;
        Ok(Self { key })
    }

    /// The certificate signing request, DER. It says nothing but the public key: the authority writes the rest.
    ///
    /// # Errors
    /// When the provider fails.
    pub fn request(&self) -> Result<Vec<u8>, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let csr = params.serialize_request(&self.key).map_err(certificate)?;
        Ok(csr.der().to_vec())
    }

    /// The key for [`CredentialParts`].
    #[must_use]
    pub fn into_private_key(self) -> PrivateKeyDer<'static> {
        self.key.into()
    }
}

/// PEM text of DER bytes.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// `cert.next.pem` is written after `key.next.pem` is durable and renamed after it: when it is there, both are whole.
fn finish_renewal(folder: &Path) -> Result<(), PkiError> {
    let next_cert = folder.join("cert.next.pem");
    let next_key = folder.join("key.next.pem");
    if !present(&next_cert)? {
        return Ok(());
    }
    if present(&next_key)? {
        durable::rename(&next_key, &folder.join("key.pem"))
            .map_err(|e| file("write", &next_key, e))?;
    }
    durable::rename(&next_cert, &folder.join("cert.pem")).map_err(|e| file("write", &next_cert, e))
}

pub(super) fn present(path: &Path) -> Result<bool, PkiError> {
    path.try_exists().map_err(|e| file("read", path, e))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, PkiError> {
    fs::read(path).map_err(|e| file("read", path, e))
}

pub(super) fn file(operation: &'static str, path: &Path, source: io::Error) -> PkiError {
    PkiError::File {
        operation,
        path: path.to_owned(),
        source,
    }
}

#[allow(clippy::needless_pass_by_value)] // a map_err target
fn certificate(e: rcgen::Error) -> PkiError {
    PkiError::Certificate(e.to_string())
}
