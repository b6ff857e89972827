//! The keys of an installation, in the Director's `pki` folder.
//!
//! ```text
//! root.pem root.key.pem   the root: may be taken offline once the issuing pair exists
//! issuing.pem             issuing certificate and its key, one file
//! cert.pem key.pem daemon.toml   the Director's own certificate, as every daemon keeps its own
//! ticket.key              signs tickets
//! ```
//! Made whole under another name on the first start and renamed; after that a missing file is an error, never a reason
//! to make another installation.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use common::durable;
use common::ids::{Identity, Role};
use common::net::acceptor::HttpCertificate;
use common::net::issuer::{IssueError, LEAF_LIFE_MS, Pair, Validity};
use common::net::pki::{CredentialParts, CredentialStore, Credentials, PendingKey, PkiError, pem};
use common::net::ticket::{TicketKey, TicketKeyError};
use common::net::tls::sha256;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use uuid::Uuid;

/// Why the installation's keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// `read` or `write`.
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} does not hold {what}; put it back from your copy of the pki folder", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate cannot be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The Director's own certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The ticket key.
    #[error(transparent)]
    Ticket(#[from] TicketKeyError),
}

/// The keys of an installation.
#[derive(Debug)]
pub struct Keys {
    folder: PathBuf,
    root: CertificateDer<'static>,
    issuing: ArcSwap<Pair>,
    store: Arc<CredentialStore>,
    ticket: Arc<TicketKey>,
}

impl Keys {
    /// Loads the folder, or makes a new installation when there is none.
    ///
    /// # Errors
    /// A file is unreadable, missing or damaged.
    pub fn open(folder: &Path, now_ms: i64) -> Result<Self, KeysError> {
        if is_absent(folder)? {
            create(folder, now_ms)?;
            tracing::info!(folder = %folder.display(), "made the keys of a new installation");
        }
        let store = CredentialStore::open(folder)?;
        let ticket = TicketKey::load(&folder.join("ticket.key"))?;
        Ok(Self {
            folder: folder.to_owned(),
            root: store.current().root.clone(),
            issuing: ArcSwap::from_pointee(read_pair(&folder.join("issuing.pem"))?),
            store,
            ticket: Arc::new(ticket),
        })
    }

    /// The Director's own credentials.
    #[must_use]
    pub fn store(&self) -> &Arc<CredentialStore> {
        &self.store
    }

    /// The key that signs tickets.
    #[must_use]
    pub fn ticket_key(&self) -> &Arc<TicketKey> {
        &self.ticket
    }

    /// The installation's root certificate.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// SHA-256 of the root: what tokens pin.
    #[must_use]
    pub fn root_sha256(&self) -> [u8; 32] {
        sha256(&self.root)
    }

    /// The Director's identity.
    #[must_use]
    pub fn director(&self) -> Identity {
        self.store.current().director
    }

    /// A certificate for a daemon: leaf and issuing one. Only the public key of `csr` is taken.
    ///
    /// # Errors
    /// The request is not valid.
    pub fn issue(
        &self,
        csr: &[u8],
        identity: Identity,
        now_ms: i64,
    ) -> Result<Vec<CertificateDer<'static>>, IssueError> {
        let issuing = self.issuing.load();
        let leaf = issuing.issue(csr, identity, Validity::of(now_ms, LEAF_LIFE_MS))?;
        Ok(vec![leaf, issuing.certificate.clone()])
    }

    /// A certificate for browsers and the console, for these host names and addresses.
    ///
    /// # Errors
    /// A name that cannot be in a certificate.
    pub fn http_certificate(
        &self,
        hosts: &[String],
        now_ms: i64,
    ) -> Result<HttpCertificate, IssueError> {
        let issuing = self.issuing.load();
        let pair = issuing.issue_http(hosts, Validity::of(now_ms, LEAF_LIFE_MS))?;
        Ok(HttpCertificate {
            key: pair.private_key(),
            chain: vec![pair.certificate, issuing.certificate.clone()],
        })
    }

    /// Renews what is past two thirds of its life: the issuing pair (needs the root's key), the Director's certificate.
    /// Blocks on the disk. Whether anything was renewed.
    ///
    /// # Errors
    /// The root's key is not there when it is needed, or a file cannot be written.
    pub fn renew_own(&self, now_ms: i64) -> Result<bool, KeysError> {
        let issuing = self.issuing.load_full();
        let path = self.folder.join("issuing.pem");
        let validity = issuing.validity()?;
        let issuing_due =
            now_ms >= validity.from_ms + (validity.until_ms - validity.from_ms) / 3 * 2;
        if issuing_due {
            let root = self.root_pair()?;
            let fresh = root.new_issuing(now_ms)?;
            write_pair(&path, &fresh)?;
            self.issuing.store(Arc::new(fresh));
        }
        let own_due = now_ms >= self.store.current().renew_at_ms();
        if own_due || issuing_due {
            let director = self.director();
            let issuing = self.issuing.load();
            let fresh = own_credentials(&self.root, &issuing, director, now_ms)?;
            self.store.replace(fresh)?;
        }
        Ok(own_due || issuing_due)
    }

    fn root_pair(&self) -> Result<Pair, KeysError> {
        let path = self.folder.join("root.key.pem");
        Ok(Pair::new(self.root.clone(), &read_key(&path)?)?)
    }
}

/// Absent or empty: a first start.
fn is_absent(folder: &Path) -> Result<bool, KeysError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(file("read", folder, e)),
    }
}

fn create(folder: &Path, now_ms: i64) -> Result<(), KeysError> {
    let new = folder.with_extension("new");
    match fs::remove_dir_all(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(file("write", &new, e)),
        _ => durable::create_folder(&new, 0o700).map_err(|e| file("write", &new, e))?,
    }
    let root = Pair::new_root(now_ms)?;
    let issuing = root.new_issuing(now_ms)?;
    let director = Identity {
        role: Role::Director,
        id: Uuid::new_v4(),
    };
    let key_path = new.join("root.key.pem");
    let key = pem("PRIVATE KEY", root.private_key().secret_der());
    durable::write_atomic(&key_path, key.as_bytes(), durable::SECRET)
        .map_err(|e| file("write", &key_path, e))?;
    write_pair(&new.join("issuing.pem"), &issuing)?;
    TicketKey::generate()?.save(&new.join("ticket.key"))?;
    own_credentials(&root.certificate, &issuing, director, now_ms)?.save(&new)?;
    durable::rename(&new, folder).map_err(|e| file("write", folder, e))
}

fn own_credentials(
    root: &CertificateDer<'static>,
    issuing: &Pair,
    director: Identity,
    now_ms: i64,
) -> Result<Credentials, KeysError> {
    let key = PendingKey::generate()?;
    let leaf = issuing.issue(
        &key.request()?,
        director,
        Validity::of(now_ms, LEAF_LIFE_MS),
    )?;
    Ok(Credentials::new(CredentialParts {
        name: "director".to_owned(),
        director: director.dns_name(),
        root: root.clone(),
        chain: vec![leaf, issuing.certificate.clone()],
        key: key.into_private_key(),
    })?)
}

fn write_pair(path: &Path, pair: &Pair) -> Result<(), KeysError> {
    let certificate = pem("CERTIFICATE", &pair.certificate);
    let key = pem("PRIVATE KEY", pair.private_key().secret_der());
    let text = format!("{certificate}{key}");
    durable::write_atomic(path, text.as_bytes(), durable::SECRET)
        .map_err(|e| file("write", path, e))
}

fn read_pair(path: &Path) -> Result<Pair, KeysError> {
    let bytes = fs::read(path).map_err(|e| file("read", path, e))?;
    let certificate = CertificateDer::from_pem_slice(&bytes);
    let certificate = certificate.map_err(|_| content(path, "a certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes);
    let key = key.map_err(|_| content(path, "a private key"))?;
    Ok(Pair::new(certificate, &key)?)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, KeysError> {
    let bytes = fs::read(path).map_err(|e| file("read", path, e))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| content(path, "a private key"))
}

fn content(path: &Path, what: &'static str) -> KeysError {
    KeysError::Content {
        path: path.to_owned(),
        what,
    }
}

fn file(operation: &'static str, path: &Path, source: io::Error) -> KeysError {
    KeysError::File {
        operation,
        path: path.to_owned(),
        source,
    }
}
