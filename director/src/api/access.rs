//! The way in for the machine's own console: a token of the user `admin`, in files only their owner can read.

use std::io;
use std::path::Path;

use common::api::access::Access;
use common::ids::Identity;
use common::net::pki::pem;
use rustls::pki_types::CertificateDer;

use crate::catalog::{ApiUser, Catalog, CatalogError, NewApiToken};

/// Why the console's access could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file.
    #[error("write {file}")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// No random bytes.
    #[error("no random bytes")]
    Random,
}

/// SHA-256 of a token: what the catalog knows of it.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().unwrap_or_default()
}

/// A fresh token.
pub(super) fn secret() -> Result<String, AccessError> {
    let mut secret = [0u8; 32];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| AccessError::Random)?;
    Ok(format!("hfa_{}", hex::encode(secret)))
}

/// Makes sure that `admin.token`, `root.pem` and `admin.toml` in the state folder let the machine's console in.
///
/// # Errors
/// [`AccessError`]
pub async fn prepare(
    catalog: &Catalog,
    folder: &Path,
    (director, root): (Identity, &CertificateDer<'static>),
    addresses: &[String],
) -> Result<(), AccessError> {
    token(catalog, &folder.join("admin.token")).await?;
    write(
        &folder.join("root.pem"),
        pem("CERTIFICATE", root).as_bytes(),
        0o644,
    )?;
    let port = addresses
        .first()
        .and_then(|a| a.rsplit_once(':'))
        .map_or("9311", |(_, port)| port);
    let access = Access {
        url: format!("https://{}:{port}", director.dns_name()),
        addresses: addresses.to_vec(),
        token: None,
        token_file: Some("admin.token".to_owned()),
        root: "root.pem".to_owned(),
    };
    let text = toml::to_string(&access).map_err(|e| AccessError::File {
        file: "admin.toml".to_owned(),
        source: io::Error::other(e),
    })?;
    write(&folder.join("admin.toml"), text.as_bytes(), 0o600)
}

/// The token file, when it is there and known; else a new token.
async fn token(catalog: &Catalog, path: &Path) -> Result<(), AccessError> {
    let at = super::app::now();
    if let Ok(text) = std::fs::read_to_string(path)
        && let Some(line) = text.lines().next()
        && catalog
            .user_of_token(hash(line.trim()), at)
            .await?
            .is_some()
    {
        return Ok(());
    }
    let token = secret()?;
    if catalog.api_user("admin").await?.is_none() {
        let user = ApiUser {
            name: "admin".to_owned(),
            role: "admin".to_owned(),
            password: String::new(),
            created_at: at,
            disabled_at: None,
        };
        catalog.set_api_user(&user).await?;
    }
    // The file first: a token that the catalog knows and nobody has is of no use to anybody.
    write(path, format!("{token}\n").as_bytes(), 0o600)?;
    let record = NewApiToken {
        sha256: hash(&token),
        user: "admin".to_owned(),
        label: "console of the Director's machine".to_owned(),
        created_at: at,
        expires_at: None,
    };
    catalog.create_api_token(&record).await?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), AccessError> {
    common::durable::write_atomic(path, bytes, mode).map_err(|source| AccessError::File {
        file: path.display().to_string(),
        source,
    })
}
