//! Paths as typed: `client:/path`, `/path`, `client`. The escaped form (`\xNN`, `\\`) that the console shows can be typed
//! back; an argument that is not UTF-8 is taken byte for byte.
//!
//! Invariant: a path that leaves here is absolute, without `.`, `..`, empty parts, a final `/` or NUL.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use common::api::text::PathText;
use common::name::{Shown, unescape};

use super::TypedError;

/// Where something is: a client, a path, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The client, when named.
    pub client: Option<String>,
    /// The path, when named.
    pub path: Option<PathText>,
}

/// Reads `client:/path`, `client:`, `client` or `/path`.
///
/// # Errors
/// When the path is not absolute or has `..` in it.
pub fn parse_place(typed: &OsStr) -> Result<Place, TypedError> {
    let raw = typed.as_bytes();
    if raw.first() == Some(&b'/') {
        return Ok(Place {
            client: None,
            path: Some(parse_path(typed)?),
        });
    }
    let (client, path) = match raw.iter().position(|b| *b == b':') {
        Some(at) => (&raw[..at], raw.get(at + 1..).unwrap_or_default()),
        None => (raw, &b""[..]),
    };
    let client = std::str::from_utf8(client)
        .ok()
        .filter(|name| !name.is_empty() && !name.contains('/'))
        .ok_or_else(|| refuse(raw, "no client name before it"))?;
    let path = match path {
        b"" => None,
        path => Some(parse_path(OsStr::from_bytes(path))?),
    };
    Ok(Place {
        client: Some(client.to_owned()),
        path,
    })
}

/// Reads an absolute path.
///
/// # Errors
/// When it is not absolute, has `.` or `..` in it, or a backslash that escapes nothing.
pub fn parse_path(typed: &OsStr) -> Result<PathText, TypedError> {
    let raw = typed.as_bytes();
    let bytes = match std::str::from_utf8(raw) {
        Ok(text) => unescape(text).map_err(|at| {
            refuse(
                raw,
                &format!(
                    "the backslash at position {} escapes nothing; type a backslash as \\\\",
                    at + 1
                ),
            )
        })?,
        Err(_) => raw.to_vec(),
    };
    if bytes.first() != Some(&b'/') {
        return Err(refuse(raw, "it does not start with /"));
    }
    if bytes.contains(&0) {
        return Err(refuse(raw, "it holds a NUL byte"));
    }
    let parts: Vec<&[u8]> = bytes
        .split(|b| *b == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    if parts.iter().any(|part| matches!(*part, b"." | b"..")) {
        return Err(refuse(raw, "it holds . or .. as a part"));
    }
    let mut clean = Vec::with_capacity(bytes.len());
    for part in &parts {
        clean.push(b'/');
        clean.extend_from_slice(part);
    }
    if clean.is_empty() {
        clean.push(b'/');
    }
    Ok(PathText::from_bytes(&clean))
}

fn refuse(raw: &[u8], why: &str) -> TypedError {
    TypedError::Path {
        text: Shown(raw).to_string(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn places_are_client_and_path() {
        for (typed, client, path) in [
            ("web01:/home/a", Some("web01"), Some("/home/a")),
            ("web01:/", Some("web01"), Some("/")),
            ("web01:", Some("web01"), None),
            ("web01", Some("web01"), None),
            ("/home//a/", None, Some("/home/a")),
            ("/a:b", None, Some("/a:b")),
            ("web01:/a:b", Some("web01"), Some("/a:b")),
            ("web01:/a\\x0ab", Some("web01"), Some("/a\\x0ab")),
            ("/a\\\\b", None, Some("/a\\\\b")),
        ] {
            let place = parse_place(OsStr::new(typed)).unwrap();
            assert_eq!(place.client.as_deref(), client, "{typed}");
            assert_eq!(place.path.map(|p| p.0).as_deref(), path, "{typed}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_taken_as_they_are() {
        let path = parse_path(OsStr::from_bytes(b"/a\xff\\")).unwrap();
        assert_eq!(path.to_bytes().unwrap(), b"/a\xff\\");
    }

    #[test]
    fn what_is_no_absolute_path_is_refused_with_the_reason() {
        for (typed, why) in [
            ("web01:home", "does not start with /"),
            ("web01:/a/../b", ".. as a part"),
            ("/a/./b", ". or .."),
            (":/a", "no client name"),
            ("a/b:/c", "no client name"),
            ("/a\\q", "position 3"),
            ("", "no client name"),
        ] {
            let err = parse_place(OsStr::new(typed)).unwrap_err().to_string();
            assert!(err.contains(why), "{typed}: {err}");
        }
    }
}
