//! An installation in memory: a real authority, real certificates, for the tests of every daemon.
//!
//! Only tests call this. What it makes is checked by the same TLS as everything else.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use uuid::Uuid;

use super::issuer::{IssueError, LEAF_LIFE_MS, Pair, Validity};
use super::pki::{CredentialParts, CredentialStore, Credentials, PendingKey, PkiError};
use crate::clock::now_ms;
use crate::ids::{Identity, Role};

/// Why a test installation cannot make credentials.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// No certificate.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// No credentials.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// Root and issuing certificate of an installation, and the identity of its Director.
#[derive(Debug)]
pub struct Installation {
    root: Pair,
    issuing: Pair,
    /// Its Director.
    pub director: Identity,
}

impl Installation {
    /// A fresh one, unlike any other.
    ///
    /// # Errors
    /// When the provider fails.
    pub fn new() -> Result<Self, TestingError> {
        super::super::telemetry::install_crypto_provider();
        let root = Pair::new_root(now_ms())?;
        let issuing = root.new_issuing(now_ms())?;
        let director = Identity {
            role: Role::Director,
            id: Uuid::new_v4(),
        };
        Ok(Self {
            root,
            issuing,
            director,
        })
    }

    /// The root certificate.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root.certificate
    }

    /// The pair that signs.
    #[must_use]
    pub fn issuing(&self) -> &Pair {
        &self.issuing
    }

    /// Credentials of a new daemon of this role, valid now.
    ///
    /// # Errors
    /// When the provider fails.
    pub fn daemon(&self, role: Role) -> Result<Arc<CredentialStore>, TestingError> {
        let id = Uuid::new_v4();
        let credentials =
            self.credentials(Identity { role, id }, Validity::of(now_ms(), LEAF_LIFE_MS))?;
        Ok(CredentialStore::in_memory(credentials))
    }

    /// Credentials of the Director, valid now.
    ///
    /// # Errors
    /// When the provider fails.
    pub fn director_store(&self) -> Result<Arc<CredentialStore>, TestingError> {
        let validity = Validity::of(now_ms(), LEAF_LIFE_MS);
        Ok(CredentialStore::in_memory(
            self.credentials(self.director, validity)?,
        ))
    }

    /// Credentials of any identity and validity.
    ///
    /// # Errors
    /// When the provider fails.
    pub fn credentials(
        &self,
        identity: Identity,
        validity: Validity,
    ) -> Result<Credentials, TestingError> {
        let key = PendingKey::generate()?;
        let leaf = self.issuing.issue(&key.request()?, identity, validity)?;
        Ok(Credentials::new(CredentialParts {
            name: format!("test-{}", identity.role.label()),
            director: self.director.dns_name(),
            root: self.root.certificate.clone(),
            chain: vec![leaf, self.issuing.certificate.clone()],
            key: key.into_private_key(),
        })?)
    }
}
