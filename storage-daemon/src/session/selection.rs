//! Which entries a restore selects, PURE: paths with all below, narrowed by globs and regular expressions, less what is
//! excluded. Paths are bytes, absolute, compared component by component.

use common::protocol::orders::Selection;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::bytes::{RegexSet, RegexSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Most paths, and most patterns, of one selection.
const MAX_TERMS: usize = 100_000;
const MAX_PATTERNS: usize = 1000;

/// Why a selection is refused.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// Not an absolute path.
    #[error("selected path {0:?} is not absolute")]
    Relative(String),
    /// A glob that cannot be read.
    #[error("glob cannot be read")]
    Glob(#[from] globset::Error),
    /// A regular expression that cannot be read.
    #[error("regular expression cannot be read")]
    Regex(#[from] regex::Error),
    /// Too many terms.
    #[error("too many paths or patterns in one selection")]
    TooMany,
}

/// What a selection says of one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not selected, nor anything below.
    Out,
    /// Not selected itself; something below may be.
    Through,
    /// Selected; what is below is judged in turn.
    In,
}

/// A selection ready to judge.
#[derive(Debug)]
pub struct Selector {
    /// Sorted, without a trailing slash; empty = everything.
    paths: Vec<Vec<u8>>,
    excluded: Vec<Vec<u8>>,
    patterns: Option<(GlobSet, RegexSet)>,
}

impl Selector {
    /// Prepares a selection.
    ///
    /// # Errors
    /// [`SelectionError`]
    pub fn new(selection: &Selection) -> Result<Self, SelectionError> {
        let terms = selection.paths.len() + selection.excluded.len();
        let count = selection.globs.len() + selection.regexes.len();
        if terms > MAX_TERMS || count > MAX_PATTERNS {
            return Err(SelectionError::TooMany);
        }
        let mut globs = GlobSetBuilder::new();
        for glob in &selection.globs {
            globs.add(GlobBuilder::new(glob).literal_separator(true).build()?);
        }
        let regexes = RegexSetBuilder::new(&selection.regexes)
            .unicode(false)
            .size_limit(8 << 20)
            .build()?;
        Ok(Self {
            paths: normal(&selection.paths)?,
            excluded: normal(&selection.excluded)?,
            patterns: (count > 0).then_some((globs.build()?, regexes)),
        })
    }

    /// Judges an absolute path.
    #[must_use]
    pub fn judge(&self, path: &[u8]) -> Verdict {
        if is_below_any(&self.excluded, path) {
            return Verdict::Out;
        }
        if !self.paths.is_empty() && !is_below_any(&self.paths, path) {
            return if leads_to_any(&self.paths, path) {
                Verdict::Through
            } else {
                Verdict::Out
            };
        }
        match &self.patterns {
            None => Verdict::In,
            Some((globs, regexes))
                if globs.is_match(OsStr::from_bytes(path)) || regexes.is_match(path) =>
            {
                Verdict::In
            }
            Some(_) => Verdict::Through,
        }
    }
}

/// Sorted, without trailing slashes; the root itself is the empty path.
fn normal(paths: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, SelectionError> {
    let mut out = Vec::with_capacity(paths.len());
    for path in paths {
        if path.first() != Some(&b'/') {
            return Err(SelectionError::Relative(
                common::name::Shown(path).to_string(),
            ));
        }
        let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
        out.push(path[..end].to_vec());
    }
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

/// Whether `path` is one of these or below one: asks once per component.
fn is_below_any(sorted: &[Vec<u8>], path: &[u8]) -> bool {
    if sorted.is_empty() {
        return false;
    }
    let ends = path
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'/')
        .map(|(at, _)| at);
    ends.chain([path.len()]).any(|end| {
        sorted
            .binary_search_by(|p| p.as_slice().cmp(&path[..end]))
            .is_ok()
    })
}

/// Whether one of these is below `path`.
fn leads_to_any(sorted: &[Vec<u8>], path: &[u8]) -> bool {
    let mut prefix = path.to_vec();
    prefix.push(b'/');
    let at = sorted.partition_point(|p| p.as_slice() < prefix.as_slice());
    sorted.get(at).is_some_and(|p| p.starts_with(&prefix))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use Verdict::{In, Out, Through};

    fn check(selection: &Selection, cases: &[(&str, Verdict)]) {
        let selector = Selector::new(selection).unwrap();
        for (path, verdict) in cases {
            assert_eq!(selector.judge(path.as_bytes()), *verdict, "{path}");
        }
    }

    fn bytes(paths: &[&str]) -> Vec<Vec<u8>> {
        paths.iter().map(|p| p.as_bytes().to_vec()).collect()
    }

    #[test]
    fn nothing_said_selects_everything() {
        check(&Selection::default(), &[("/a", In), ("/a/b", In)]);
        let root = Selection {
            paths: bytes(&["/"]),
            ..Default::default()
        };
        check(&root, &[("/a", In), ("/a/b", In)]);
    }

    #[test]
    fn paths_stand_for_all_below_by_whole_components() {
        let selection = Selection {
            paths: bytes(&["/home/ann/", "/etc/fstab"]),
            ..Default::default()
        };
        check(
            &selection,
            &[
                ("/home", Through),
                ("/home/ann", In),
                ("/home/ann/x/y", In),
                ("/home/anna", Out),
                ("/home/an", Out),
                ("/etc", Through),
                ("/etc/fstab", In),
                ("/etc/fstab2", Out),
                ("/var", Out),
            ],
        );
    }

    #[test]
    fn excluded_paths_win() {
        let selection = Selection {
            paths: bytes(&["/home"]),
            excluded: bytes(&["/home/tmp"]),
            ..Default::default()
        };
        check(
            &selection,
            &[("/home/tmp", Out), ("/home/tmp/x", Out), ("/home/tmpx", In)],
        );
    }

    #[test]
    fn globs_and_regexes_narrow_and_do_not_cross_slashes() {
        let selection = Selection {
            paths: bytes(&["/srv"]),
            globs: vec!["/srv/*.conf".into(), "/srv/**/*.key".into()],
            regexes: vec!["/[0-9]+$".into()],
            ..Default::default()
        };
        check(
            &selection,
            &[
                ("/srv", Through),
                ("/srv/a.conf", In),
                ("/srv/x/a.conf", Through),
                ("/srv/x/y/b.key", In),
                ("/srv/x/17", In),
                ("/etc/a.conf", Out),
            ],
        );
        let broken = Selector::new(&Selection {
            regexes: vec!["\\xff\\x00(?-u)\\xff$".into()],
            ..Default::default()
        })
        .unwrap();
        assert_eq!(broken.judge(b"/a\xff\x00\xff"), In, "names are bytes");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in [
            Selection {
                paths: bytes(&["home"]),
                ..Default::default()
            },
            Selection {
                globs: vec!["[".into()],
                ..Default::default()
            },
            Selection {
                regexes: vec!["(".into()],
                ..Default::default()
            },
        ] {
            assert!(Selector::new(&bad).is_err());
        }
    }
}
