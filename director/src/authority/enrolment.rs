//! Letting daemons in and shutting them out: tokens, enrolment, renewal, revocation, recorded in the catalog.
//!
//! A token is used up by its first use, won or lost. A machine that enrols again under a name keeps the UUID, and with
//! it its snapshots; the certificates it had before are revoked. A certificate is recorded before it is handed out.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use common::clock::now_ms;
use common::ids::{Identity, Role};
use common::net::issuer::IssueError;
use common::net::tls::{PeerCertificate, TlsError, sha256};
use common::protocol::enrol::{EnrolReply, EnrolRequest, RenewRequest, Token};
use common::protocol::fault::{Fault, code};
use common::shutdown::StopToken;
use rustls::pki_types::CertificateDer;
use uuid::Uuid;

use super::keys::{Keys, KeysError};
use crate::catalog::{Catalog, CatalogError, Certificate, NewDaemon, NewEnrolToken};

/// Longest life of a token.
const MAX_TOKEN_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// Why somebody was not let in or shut out.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The secret is unknown, used or expired.
    #[error("enrolment token is unknown, was used, or has expired; make a new one")]
    Token,
    /// No such daemon, or revoked.
    #[error("{0} is not enrolled or was revoked; enrol it again with a new token")]
    NotEnrolled(Identity),
    /// A token cannot be made like this.
    #[error("cannot make a token: {0}")]
    BadToken(&'static str),
    /// The request for a certificate is no good.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The certificate just made cannot be read.
    #[error("cannot read the certificate just made")]
    Made(#[from] TlsError),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Own keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl AuthorityError {
    /// What the other side is told. Details of our catalog and disk stay here.
    #[must_use]
    pub fn to_fault(&self) -> Fault {
        match self {
            Self::Token | Self::NotEnrolled(_) => Fault::new(code::REFUSED, self.to_string()),
            Self::Issue(IssueError::Request) => Fault::new(code::MALFORMED, self.to_string()),
            _ => Fault::passing(
                code::INTERNAL,
                "the Director cannot issue certificates now; see its log",
            ),
        }
    }
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// `file` or `storage`.
    pub role: Role,
    /// Label of the daemon.
    pub name: String,
    /// How long it is good, at most 30 days.
    pub life: Duration,
    /// Who asks for it.
    pub created_by: String,
}

/// The authority of a running Director.
#[derive(Debug)]
pub struct Authority {
    keys: Arc<Keys>,
    catalog: Catalog,
    addresses: Vec<String>,
}

impl Authority {
    /// `addresses` go into tokens: `host:port` where newcomers reach this Director. Takes in the revoked list.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn new(
        keys: Arc<Keys>,
        catalog: Catalog,
        addresses: Vec<String>,
    ) -> Result<Self, AuthorityError> {
        let authority = Self {
            keys,
            catalog,
            addresses,
        };
        authority.load_revoked().await?;
        Ok(authority)
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Makes a token: the one line to paste on the machine that joins. Its secret is not kept.
    ///
    /// # Errors
    /// A role or life that no token has; the catalog cannot be written.
    pub async fn create_token(&self, new: NewToken) -> Result<String, AuthorityError> {
        if new.role == Role::Director {
            return Err(AuthorityError::BadToken("a Director does not enrol"));
        }
        if new.life.is_zero() || new.life > MAX_TOKEN_LIFE {
            return Err(AuthorityError::BadToken("its life must be up to 30 days"));
        }
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret)
            .map_err(|_| AuthorityError::BadToken("no random bytes"))?;
        let now = now_ms();
        let life_ms = i64::try_from(new.life.as_millis()).unwrap_or(i64::MAX);
        let record = NewEnrolToken {
            sha256: sha256(&secret),
            role: new.role,
            name: new.name.clone(),
            created_by: new.created_by,
            created_at: instant(now),
            expires_at: instant(now.saturating_add(life_ms)),
        };
        self.catalog.create_enrol_token(&record).await?;
        let token = Token {
            addresses: self.addresses.clone(),
            root_sha256: self.keys.root_sha256().to_vec(),
            secret: secret.to_vec(),
            director: self.keys.director().dns_name(),
            role: new.role.label().to_owned(),
            name: new.name,
        };
        Ok(token.to_text())
    }

    /// A newcomer presents its token.
    ///
    /// # Errors
    /// Token or request no good; the catalog cannot be written.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolReply, AuthorityError> {
        let now = now_ms();
        let nobody = Identity {
            role: Role::File,
            id: Uuid::nil(),
        };
        // A request that is no good must not cost the token.
        self.keys.issue(&request.csr, nobody, now)?;
        let used = self
            .catalog
            .use_enrol_token(sha256(&request.secret), instant(now))
            .await?
            .ok_or(AuthorityError::Token)?;
        let known = self.catalog.daemon_by_name(used.role, &used.name).await?;
        let identity = match &known {
            Some(daemon) => daemon.identity,
            None => Identity {
                role: used.role,
                id: Uuid::new_v4(),
            },
        };
        if known.is_some() {
            self.revoke_certificates(identity).await?;
        }
        let daemon = NewDaemon {
            identity,
            name: used.name.clone(),
            host: request.host.chars().take(255).collect(),
            version: request.version.chars().take(64).collect(),
            enrolled_at: instant(now),
        };
        self.catalog.enrol_daemon(&daemon).await?;
        tracing::info!(%identity, name = %daemon.name, host = %daemon.host, "enrolled");
        self.certify(&request.csr, identity, used.name).await
    }

    /// A daemon wants a fresh certificate; `peer` is the one it showed, expired or not, not revoked.
    ///
    /// # Errors
    /// Not enrolled any more, request no good; the catalog cannot be written.
    pub async fn renew(
        &self,
        peer: &PeerCertificate,
        request: &RenewRequest,
    ) -> Result<EnrolReply, AuthorityError> {
        let identity = peer.identity;
        let known = self.catalog.daemon(identity).await?;
        let daemon = known
            .filter(|d| d.revoked_at.is_none())
            .ok_or(AuthorityError::NotEnrolled(identity))?;
        tracing::info!(%identity, name = %daemon.name, "certificate renewed");
        self.certify(&request.csr, identity, daemon.name).await
    }

    /// Shuts a daemon out: its certificates are revoked, here at once, at every other daemon as soon as it hears of it.
    /// `false` = it is not enrolled, or revoked already.
    ///
    /// # Errors
    /// The catalog cannot be written.
    pub async fn revoke(&self, identity: Identity) -> Result<bool, AuthorityError> {
        let done = self
            .catalog
            .revoke_daemon(identity, instant(now_ms()))
            .await?;
        self.load_revoked().await?;
        tracing::info!(%identity, done, "revoked");
        Ok(done)
    }

    /// Renews the Director's own certificates in time, until `stop`. `renewed` is called after each renewal.
    pub async fn keep_renewed(&self, stop: &StopToken, renewed: impl Fn()) {
        loop {
            let keys = self.keys.clone();
            match tokio::task::spawn_blocking(move || keys.renew_own(now_ms())).await {
                Ok(Ok(true)) => {
                    tracing::info!("renewed the Director's own certificates");
                    renewed();
                }
                Ok(Ok(false)) => {}
                Ok(Err(e)) => tracing::error!("cannot renew the Director's certificates: {e}"),
                Err(e) => tracing::error!("cannot renew the Director's certificates: {e}"),
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(3600)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn certify(
        &self,
        csr: &[u8],
        identity: Identity,
        name: String,
    ) -> Result<EnrolReply, AuthorityError> {
        let now = now_ms();
        let chain = self.keys.issue(csr, identity, now)?;
        let leaf = chain.first().ok_or(TlsError::Unreadable)?;
        let made = PeerCertificate::read(leaf)?;
        let record = Certificate {
            serial: made.serial,
            identity,
            issued_at: instant(now),
            not_after: instant(made.not_after_ms),
            revoked_at: None,
        };
        self.catalog.record_certificate(&record).await?;
        Ok(EnrolReply {
            chain: chain
                .iter()
                .map(|c: &CertificateDer<'_>| c.to_vec())
                .collect(),
            root: self.keys.root().to_vec(),
            id: identity.id.as_bytes().to_vec(),
            name,
            director: self.keys.director().dns_name(),
        })
    }

    async fn revoke_certificates(&self, identity: Identity) -> Result<(), AuthorityError> {
        let at = instant(now_ms());
        for certificate in self.catalog.certificates(identity).await? {
            if certificate.revoked_at.is_none() {
                self.catalog
                    .revoke_certificate(&certificate.serial, at)
                    .await?;
            }
        }
        self.load_revoked().await
    }

    async fn load_revoked(&self) -> Result<(), AuthorityError> {
        let serials = self.catalog.revoked_serials().await?;
        self.keys.store().revoked().replace(serials);
        Ok(())
    }
}

/// Our milliseconds as the catalog takes them.
fn instant(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
