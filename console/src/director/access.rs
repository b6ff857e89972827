//! `console.toml`: found, read, checked; the token and the root certificate it names are read with it.
//!
//! Invariant: the token never leaves this and `connection`; a file others can read is refused when it holds the token.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::api::access::Access;

use super::DirectorError;
use crate::arguments::CommonArgs;
use crate::machine::default_root;

/// Longest file of the access, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Everything needed to call the Director.
#[derive(Clone)]
pub struct ReadyAccess {
    /// `<uuid>.director.holdfast`
    pub name: String,
    /// `host:port`, in order.
    pub addresses: Vec<String>,
    /// API token.
    pub token: String,
    /// Root certificate, PEM.
    pub root_pem: Vec<u8>,
}

/// Where this command's `console.toml` is.
#[must_use]
pub fn console_file(common: &CommonArgs) -> PathBuf {
    common
        .root
        .clone()
        .unwrap_or_else(default_root)
        .join("console.toml")
}

/// Reads `console.toml` or `admin.toml` and what it names.
///
/// # Errors
/// When a file is missing, malformed, or open to others.
pub fn load(path: &Path, director: Option<&str>) -> Result<ReadyAccess, DirectorError> {
    let fail = |reason: String| DirectorError::Access {
        path: path.to_owned(),
        reason,
    };
    let (text, mode) = read(path)?;
    let access: Access = toml::from_str(&text).map_err(|e| fail(e.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let token = match (&access.token, &access.token_file) {
        (Some(_), None) if mode & 0o077 != 0 => {
            return Err(fail(format!(
                "it holds a token and others may read it (mode {:03o})\n  chmod 600 {}",
                mode & 0o777,
                path.display()
            )));
        }
        (Some(token), None) => token.clone(),
        (None, Some(file)) => read(&folder.join(file))?
            .0
            .lines()
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned(),
        _ => return Err(fail("it needs either `token` or `token_file`".to_owned())),
    };
    let name = access
        .url
        .strip_prefix("https://")
        .and_then(|rest| rest.split(['/', ':']).next())
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            fail(format!(
                "`url` must be https://NAME:PORT, not {:?}",
                access.url
            ))
        })?
        .to_owned();
    let addresses = director.map_or(access.addresses, |one| vec![one.to_owned()]);
    if addresses.is_empty() {
        return Err(fail("`addresses` is empty".to_owned()));
    }
    Ok(ReadyAccess {
        name,
        addresses,
        token,
        root_pem: read(&folder.join(&access.root))?.0.into_bytes(),
    })
}

fn read(path: &Path) -> Result<(String, u32), DirectorError> {
    let fail = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => DirectorError::NoAccess {
            path: path.to_owned(),
        },
        std::io::ErrorKind::PermissionDenied => DirectorError::Access {
            path: path.to_owned(),
            reason: format!(
                "{e}\n  it belongs to another user: sudo, or --root for an installation of your own"
            ),
        },
        _ => DirectorError::Access {
            path: path.to_owned(),
            reason: e.to_string(),
        },
    };
    let file = std::fs::File::open(path).map_err(fail)?;
    let mode = file.metadata().map_err(fail)?.mode();
    let mut text = String::new();
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(fail)?;
    Ok((text, mode))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::write(dir.path().join("root.pem"), "PEM").unwrap();
        std::fs::write(dir.path().join("token"), "secret\n").unwrap();
        (dir, path)
    }

    const GOOD: &str = "url = \"https://x.director.holdfast:9311\"\naddresses = [\"127.0.0.1:9311\"]\nroot = \"root.pem\"\n";

    #[test]
    fn the_token_stands_in_the_file_or_beside_it() {
        let (_dir, path) = folder(&format!("{GOOD}token_file = \"token\"\n"), 0o644);
        let access = load(&path, Some("h:1")).unwrap();
        assert_eq!(
            (access.name.as_str(), access.token.as_str()),
            ("x.director.holdfast", "secret")
        );
        assert_eq!(access.addresses, ["h:1"]);
        let (_dir, path) = folder(&format!("{GOOD}token = \"t\"\n"), 0o600);
        assert_eq!(load(&path, None).unwrap().token, "t");
    }

    #[test]
    fn what_is_missing_or_open_to_others_is_named() {
        let (_dir, path) = folder(&format!("{GOOD}token = \"t\"\n"), 0o644);
        let err = load(&path, None).err().unwrap().to_string();
        assert!(err.contains("chmod 600"), "{err}");
        let err = load(&path.with_file_name("none.toml"), None)
            .err()
            .unwrap()
            .to_string();
        assert!(err.contains("holdfast up"), "{err}");
        let (_dir, path) = folder(GOOD, 0o600);
        let err = load(&path, None).err().unwrap().to_string();
        assert!(err.contains("token_file"), "{err}");
    }
}
