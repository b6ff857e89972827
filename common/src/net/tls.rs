//! TLS 1.3 both ways: configurations, whom a certificate makes its holder, and what expired ones may still do.
//!
//! Trust = a chain to this installation's root, and one DNS name `<uuid>.<role>.holdfast`. Sessions are never resumed: a
//! resumed one would skip the check of the certificate. An expired certificate opens renewal and nothing else.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::pki::Credentials;
use crate::ids::Identity;
use crate::protocol::frame::alpn;

/// Why a TLS configuration or a certificate is no good.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// rustls refused the parts.
    #[error("cannot configure TLS")]
    Config(#[source] Error),
    /// The root certificate or the verifier made of it is no good.
    #[error("cannot use the root certificate: {0}")]
    Root(String),
    /// A certificate cannot be read.
    #[error("certificate cannot be read")]
    Unreadable,
    /// It does not carry exactly one DNS name of a daemon.
    #[error("certificate is not a daemon's of this installation: {0}")]
    Name(String),
}

/// What a checked certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Role and uuid.
    pub identity: Identity,
    /// Serial number, without leading zero bytes.
    pub serial: Vec<u8>,
    /// Valid from: milliseconds since the epoch.
    pub not_before_ms: i64,
    /// Valid until: milliseconds since the epoch.
    pub not_after_ms: i64,
}

impl PeerCertificate {
    /// Reads a certificate; decides nothing about trust.
    ///
    /// # Errors
    /// Not a certificate, or not of exactly one daemon.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let (_, cert) = X509Certificate::from_der(der).map_err(|_| TlsError::Unreadable)?;
        let names = cert
            .subject_alternative_name()
            .map_err(|_| TlsError::Unreadable)?
            .map(|ext| ext.value.general_names.as_slice())
            .unwrap_or_default();
        let [GeneralName::DNSName(name)] = names else {
            return Err(TlsError::Name(format!("{} alternative names", names.len())));
        };
        Ok(Self {
            identity: Identity::from_dns_name(name).map_err(|e| TlsError::Name(e.to_string()))?,
            serial: trim(cert.raw_serial()).to_vec(),
            not_before_ms: cert.validity().not_before.timestamp().saturating_mul(1000),
            not_after_ms: cert.validity().not_after.timestamp().saturating_mul(1000),
        })
    }
}

fn trim(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|b| **b == 0).count();
    serial.get(zeros..).unwrap_or_default()
}

/// Serial numbers of revoked certificates, told by the Director; everybody who holds a connection can watch them.
#[derive(Debug)]
pub struct RevokedSerials {
    list: watch::Sender<Arc<HashSet<Vec<u8>>>>,
}

impl Default for RevokedSerials {
    fn default() -> Self {
        Self {
            list: watch::Sender::new(Arc::default()),
        }
    }
}

impl RevokedSerials {
    /// Whether this serial is revoked.
    #[must_use]
    pub fn contains(&self, serial: &[u8]) -> bool {
        self.list.borrow().contains(trim(serial))
    }

    /// Replaces the whole list and wakes whoever holds a connection.
    pub fn replace(&self, serials: impl IntoIterator<Item = Vec<u8>>) {
        let set = serials.into_iter().map(|s| trim(&s).to_vec()).collect();
        self.list.send_replace(Arc::new(set));
    }

    /// The whole list.
    #[must_use]
    pub fn all(&self) -> Vec<Vec<u8>> {
        self.list.borrow().iter().cloned().collect()
    }

    /// Sees each later change of the list.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<HashSet<Vec<u8>>>> {
        self.list.subscribe()
    }

    /// Returns when this serial is revoked: a connection selects on it.
    pub async fn revoked(&self, serial: &[u8]) {
        let serial = trim(serial);
        let mut list = self.list.subscribe();
        // Fails only when the sender is gone, which `self` holds.
        let _ = list.wait_for(|set| set.contains(serial)).await;
    }
}

/// The one provider: aws-lc-rs.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn roots(root: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    store.add(root.clone()).map_err(TlsError::Config)?;
    Ok(Arc::new(store))
}

/// How a daemon dials: its own certificate, the installation's root, one purpose.
///
/// # Errors
/// When the credentials are no good.
pub fn client_config(me: &Credentials, alpn: &'static [u8]) -> Result<ClientConfig, TlsError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(&me.root)?, provider())
        .build()
        .map_err(|e| TlsError::Root(e.to_string()))?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Config)?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(me.chain.clone(), me.key.clone_key())
        .map_err(TlsError::Config)?;
    Ok(finish_client(config, alpn))
}

/// How a newcomer dials: no certificate; the server must present the root with this SHA-256.
///
/// # Errors
/// When rustls refuses.
pub fn enrol_client_config(root_sha256: [u8; 32]) -> Result<ClientConfig, TlsError> {
    let verifier = Arc::new(PinnedRoot {
        root_sha256,
        provider: provider(),
    });
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Config)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(finish_client(config, alpn::ENROL))
}

fn finish_client(mut config: ClientConfig, alpn: &'static [u8]) -> ClientConfig {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config
}

/// SHA-256 of a certificate: what a token pins.
#[must_use]
pub fn sha256(der: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// What clients of one listener must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// A valid certificate.
    Required,
    /// A certificate that is or was valid.
    RequiredMaybeExpired,
    /// None: the newcomer has a token, the API its own.
    None,
}

/// How a daemon answers: own certificate, one set of ALPN names, what the client must show.
///
/// # Errors
/// When the credentials are no good.
pub fn server_config(
    me: &Credentials,
    alpn: &[&[u8]],
    auth: ClientAuth,
) -> Result<ServerConfig, TlsError> {
    let mut chain = me.chain.clone();
    if auth == ClientAuth::None {
        // A newcomer knows only the hash of the root: it must see it.
        chain.push(me.root.clone());
    }
    server_config_with(me, (chain, me.key.clone_key()), alpn, auth)
}

/// As [`server_config`] with another certificate to show: the API's, which carries host names.
///
/// # Errors
/// When the credentials are no good.
pub fn server_config_with(
    me: &Credentials,
    shown: (
        Vec<CertificateDer<'static>>,
        rustls::pki_types::PrivateKeyDer<'static>,
    ),
    alpn: &[&[u8]],
    auth: ClientAuth,
) -> Result<ServerConfig, TlsError> {
    let verifier = client_verifier(&me.root, auth)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Config)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(shown.0, shown.1)
        .map_err(TlsError::Config)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

fn client_verifier(
    root: &CertificateDer<'static>,
    auth: ClientAuth,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if auth == ClientAuth::None {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let inner = WebPkiClientVerifier::builder_with_provider(roots(root)?, provider())
        .build()
        .map_err(|e| TlsError::Root(e.to_string()))?;
    Ok(if auth == ClientAuth::RequiredMaybeExpired {
        Arc::new(MaybeExpired { inner })
    } else {
        inner
    })
}

/// Accepts a client certificate that has expired, and nothing else that is wrong with one: the chain is judged at the
/// last moment it was valid.
#[derive(Debug)]
struct MaybeExpired {
    inner: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for MaybeExpired {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let cert = PeerCertificate::read(end_entity).map_err(|_| bad())?;
        let last = u64::try_from(cert.not_after_ms / 1000).map_err(|_| bad())?;
        let at =
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs().min(last)));
        self.inner.verify_client_cert(end_entity, intermediates, at)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Trusts the root whose hash a token carries, once the server shows it; then checks chain and name as always.
#[derive(Debug)]
struct PinnedRoot {
    root_sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedRoot {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let root = intermediates
            .iter()
            .find(|cert| sha256(cert) == self.root_sha256)
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut store = RootCertStore::empty();
        store.add(root.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), self.provider.clone())
            .build()
            .map_err(|e| Error::General(e.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
