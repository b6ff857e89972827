//! Making certificates: root, issuing, and leaves with exactly one daemon in them. No files, no decisions who may have
//! one: the Director's authority decides; tests of every daemon make their installations with it.
//!
//! From a request only the public key is taken: its names, usages and constraints are the stranger's wishes. Serials are
//! 16 random bytes. Validity begins ten minutes early, for clocks that are late.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::ids::Identity;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// Life of a root.
pub const ROOT_LIFE_MS: i64 = 20 * 365 * DAY_MS;
/// Life of an issuing certificate.
pub const ISSUING_LIFE_MS: i64 = 5 * 365 * DAY_MS;
/// Life of a daemon's certificate.
pub const LEAF_LIFE_MS: i64 = 60 * DAY_MS;
const BACKDATE_MS: i64 = 10 * 60 * 1000;

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The request is not one, or not signed by its own key.
    #[error("certificate request is not valid")]
    Request,
    /// The issuer's certificate or key is no good, or the provider failed.
    #[error("cannot make a certificate: {0}")]
    Make(String),
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Pair {
    /// From stored parts.
    ///
    /// # Errors
    /// The key is not one.
    pub fn new(
        certificate: CertificateDer<'static>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, IssueError> {
        let key = KeyPair::try_from(key).map_err(make)?;
        Ok(Self { certificate, key })
    }

    /// From when until when its certificate is valid.
    ///
    /// # Errors
    /// The certificate cannot be read.
    pub fn validity(&self) -> Result<Validity, IssueError> {
        let (_, read) = X509Certificate::from_der(&self.certificate)
            .map_err(|e| IssueError::Make(e.to_string()))?;
        Ok(Validity {
            from_ms: read.validity().not_before.timestamp().saturating_mul(1000),
            until_ms: read.validity().not_after.timestamp().saturating_mul(1000),
        })
    }

    /// Its key.
    #[must_use]
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        rustls::pki_types::PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// The root of a new installation.
    ///
    /// # Errors
    /// When the provider fails.
    pub fn new_root(now_ms: i64) -> Result<Self, IssueError> {
        let key = new_key()?;
        let mut params = authority_params("root", 1)?;
        set_validity(&mut params, Validity::of(now_ms, ROOT_LIFE_MS))?;
        let certificate = params.self_signed(&key).map_err(make)?.into();
        Ok(Self { certificate, key })
    }

    /// An issuing certificate, signed by this root.
    ///
    /// # Errors
    /// When the root is no good.
    pub fn new_issuing(&self, now_ms: i64) -> Result<Self, IssueError> {
        let key = new_key()?;
        let mut params = authority_params("issuing", 0)?;
        set_validity(&mut params, Validity::of(now_ms, ISSUING_LIFE_MS))?;
        let certificate = self.sign(&params, &key)?;
        Ok(Self { certificate, key })
    }

    /// A daemon's certificate for the key of `csr` (DER), signed by this issuing pair.
    ///
    /// # Errors
    /// The request is not valid.
    pub fn issue(
        &self,
        csr: &[u8],
        identity: Identity,
        validity: Validity,
    ) -> Result<CertificateDer<'static>, IssueError> {
        let csr =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr))
                .map_err(|_| IssueError::Request)?;
        let mut params = leaf_params(&identity.dns_name())?;
        params.subject_alt_names = vec![dns(&identity.dns_name())?];
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ClientAuth);
        set_validity(&mut params, validity)?;
        self.sign(&params, &csr.public_key)
    }

    /// A certificate for browsers and the console: host names and IP addresses; no daemon takes it for one.
    ///
    /// # Errors
    /// A name that cannot be in a certificate.
    pub fn issue_http(&self, hosts: &[String], validity: Validity) -> Result<Self, IssueError> {
        let key = new_key()?;
        let mut params = leaf_params("Holdfast Director")?;
        for host in hosts {
            params.subject_alt_names.push(match host.parse() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => dns(host)?,
            });
        }
        set_validity(&mut params, validity)?;
        let certificate = self.sign(&params, &key)?;
        Ok(Self { certificate, key })
    }

    fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, IssueError> {
        let issuer = Issuer::from_ca_cert_der(&self.certificate, &self.key).map_err(make)?;
        Ok(params.signed_by(key, &issuer).map_err(make)?.into())
    }
}

/// From when until when, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from_ms: i64,
    /// Not after.
    pub until_ms: i64,
}

impl Validity {
    /// From ten minutes ago, for `life_ms` from now.
    #[must_use]
    pub fn of(now_ms: i64, life_ms: i64) -> Self {
        Self {
            from_ms: now_ms.saturating_sub(BACKDATE_MS),
            until_ms: now_ms.saturating_add(life_ms),
        }
    }
}

fn authority_params(what: &str, below: u8) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    let mut mark = [0; 4];
    random(&mut mark)?;
    let name = format!("Holdfast {what} {}", hex::encode(mark));
    params.distinguished_name = common_name(&name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial()?);
    Ok(params)
}

fn leaf_params(name: &str) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    Ok(params)
}

fn set_validity(params: &mut CertificateParams, validity: Validity) -> Result<(), IssueError> {
    let date = |ms: i64| {
        OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000))
            .map_err(|e| IssueError::Make(e.to_string()))
    };
    params.not_before = date(validity.from_ms)?;
    params.not_after = date(validity.until_ms)?;
    Ok(())
}

fn common_name(name: &str) -> DistinguishedName {
    let mut out = DistinguishedName::new();
    out.push(DnType::CommonName, name);
    out
}

fn dns(name: &str) -> Result<SanType, IssueError> {
    Ok(SanType::DnsName(name.try_into().map_err(make)?))
}

fn new_key() -> Result<KeyPair, IssueError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make)
}

/// Positive and of full length: the first byte is 0x40..=0x7f.
fn serial() -> Result<SerialNumber, IssueError> {
    let mut bytes = [0; 16];
    random(&mut bytes)?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn random(bytes: &mut [u8]) -> Result<(), IssueError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| IssueError::Make("no random bytes".into()))
}

#[allow(clippy::needless_pass_by_value)] // a map_err target
fn make(e: rcgen::Error) -> IssueError {
    IssueError::Make(e.to_string())
}
