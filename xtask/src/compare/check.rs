//! Compares two trees name by name and says how many are identical.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::entry::{Entry, Scope};
use super::walk;
use crate::finding::{Finding, Report};

/// Bytes read at once from each side.
const READ_BYTES: usize = 256 * 1024;
const REMEDY: &str = "the original and the restored tree are not the same";

/// Compares `source` with `restored`, owners only as root. Fails when the source cannot be read.
pub fn check(source: &Path, restored: &Path) -> Result<Report> {
    let root = rustix::process::geteuid().is_root();
    compare(
        source,
        restored,
        if root {
            Scope::WithOwners
        } else {
            Scope::WithoutOwners
        },
    )
}

fn compare(source: &Path, restored: &Path, scope: Scope) -> Result<Report> {
    let listing = walk::list(source)?;
    let mut report = Report::new("compare");
    let mut pair = Pair {
        source,
        restored,
        scope,
        groups: Groups::default(),
    };
    let (mut identical, mut closed) = (0_usize, listing.closed);
    for name in &listing.names {
        match pair.differences(name) {
            Err(error) if is_denied(&error) => closed += 1,
            found => {
                let found = found?;
                identical += usize::from(found.is_empty());
                report.extend(
                    found
                        .into_iter()
                        .map(|what| Finding::new(name, 1, what, REMEDY)),
                );
            }
        }
    }
    let expected: BTreeSet<&PathBuf> = listing.names.iter().collect();
    let there = walk::list(restored).unwrap_or_default();
    for name in there.names.iter().filter(|name| !expected.contains(name)) {
        report.extend([Finding::new(name, 1, "was not in the original", REMEDY)]);
    }
    let looked_at = listing.names.len() + listing.closed - closed;
    report.fact(format!("{identical} of {looked_at} identical"));
    if scope == Scope::WithoutOwners {
        report.fact("owners not compared: only root can restore them".to_owned());
        report.fact(format!("{closed} not readable by this user"));
    }
    Ok(report)
}

fn is_denied(error: &anyhow::Error) -> bool {
    let source = error.downcast_ref::<io::Error>();
    source.is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
}

/// The two trees.
struct Pair<'a> {
    source: &'a Path,
    restored: &'a Path,
    scope: Scope,
    groups: Groups,
}

impl Pair<'_> {
    fn differences(&mut self, name: &Path) -> Result<Vec<String>> {
        let path = self.source.join(name);
        let ours =
            Entry::read(self.source, name).with_context(|| format!("read {}", path.display()))?;
        let theirs = match Entry::read(self.restored, name) {
            Ok(entry) => entry,
            Err(error) => {
                return Ok(vec![format!(
                    "cannot be read where it was restored: {error}"
                )]);
            }
        };
        let differences = ours.differences(&theirs, self.scope);
        let mut found: Vec<String> = differences
            .into_iter()
            .map(|what| format!("differs: {what}"))
            .collect();
        if !self.groups.agree(&ours, &theirs) {
            found.push("differs: which names are hard links of one file".to_owned());
        }
        let both_files = ours.metadata.is_file() && theirs.metadata.is_file();
        if both_files && !same_content(&path, &self.restored.join(name))? {
            found.push("differs: content".to_owned());
        }
        Ok(found)
    }
}

/// Which file of one tree is which file of the other, for names that share a file.
#[derive(Default)]
struct Groups {
    forward: BTreeMap<(u64, u64), (u64, u64)>,
    backward: BTreeMap<(u64, u64), (u64, u64)>,
}

impl Groups {
    fn agree(&mut self, ours: &Entry, theirs: &Entry) -> bool {
        match (ours.shared_file(), theirs.shared_file()) {
            (Some(a), Some(b)) => {
                *self.forward.entry(a).or_insert(b) == b
                    && *self.backward.entry(b).or_insert(a) == a
            }
            // Names outside of the tree may hold the source's other links.
            _ => true,
        }
    }
}

fn same_content(a: &Path, b: &Path) -> Result<bool> {
    let open = |path: &Path| -> Result<_> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        Ok(BufReader::with_capacity(READ_BYTES, file))
    };
    let (mut a, mut b) = (open(a)?, open(b)?);
    loop {
        let (x, y) = (a.fill_buf()?, b.fill_buf()?);
        let n = x.len().min(y.len());
        if x[..n] != y[..n] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(x.len() == y.len());
        }
        a.consume(n);
        b.consume(n);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    use super::*;

    /// A tree with one of everything an ordinary user can make.
    fn tree(root: &Path) {
        fs::create_dir_all(root.join("d/empty")).unwrap();
        fs::write(root.join("d/a"), "one").unwrap();
        fs::hard_link(root.join("d/a"), root.join("d/a2")).unwrap();
        fs::write(root.join("d/b"), "two").unwrap();
        symlink("a", root.join("d/l")).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        for name in ["d/a", "d/b", "d/empty", "d", ""] {
            File::open(root.join(name))
                .unwrap()
                .set_modified(at)
                .unwrap();
        }
        let now = rustix::fs::Timespec {
            tv_sec: 1_700_000_000,
            tv_nsec: 5,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, root.join("d/l"), &times, flags).unwrap();
    }

    /// Two equal trees, the second one spoiled: which words are in the findings.
    #[track_caller]
    fn finds(spoil: impl Fn(&Path), expected: &[&str]) {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tree(a.path());
        tree(b.path());
        spoil(b.path());
        let report = compare(a.path(), b.path(), Scope::WithOwners).unwrap();
        let found: Vec<String> = report.sorted().iter().map(ToString::to_string).collect();
        assert_eq!(report.is_clean(), expected.is_empty(), "{found:?}");
        for part in expected {
            assert!(
                found.iter().any(|line| line.contains(part)),
                "{part}: {found:?}"
            );
        }
    }

    #[test]
    fn equal_trees_are_identical() {
        finds(|_| {}, &[]);
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tree(a.path());
        tree(b.path());
        assert!(
            check(a.path(), b.path())
                .unwrap()
                .summary()
                .contains("7 of 7 identical")
        );
    }

    #[test]
    fn each_difference_is_named() {
        finds(
            |b| fs::write(b.join("d/b"), "six").unwrap(),
            &["d/b:1: differs: content", "modification time"],
        );
        finds(
            |b| fs::remove_file(b.join("d/b")).unwrap(),
            &["d/b:1: cannot be read"],
        );
        finds(
            |b| fs::write(b.join("new"), "").unwrap(),
            &["new:1: was not in the original"],
        );
        let mode = fs::Permissions::from_mode(0o611);
        finds(
            move |b| fs::set_permissions(b.join("d/b"), mode.clone()).unwrap(),
            &["differs: mode"],
        );
        finds(
            |b| {
                fs::remove_file(b.join("d/l")).unwrap();
                symlink("b", b.join("d/l")).unwrap();
            },
            &["differs: link target"],
        );
        finds(
            |b| {
                fs::remove_file(b.join("d/a2")).unwrap();
                fs::copy(b.join("d/a"), b.join("d/a2")).unwrap();
            },
            &["d/a2:1: differs: hard links"],
        );
    }

    #[test]
    fn without_owners_the_set_id_bits_do_not_count() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tree(a.path());
        tree(b.path());
        fs::set_permissions(a.path().join("d/b"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::set_permissions(b.path().join("d/b"), fs::Permissions::from_mode(0o755)).unwrap();
        let clean = |scope| compare(a.path(), b.path(), scope).unwrap().is_clean();
        assert!(clean(Scope::WithoutOwners));
        assert!(!clean(Scope::WithOwners));
    }

    #[test]
    fn an_extended_attribute_counts() {
        let set = |b: &Path| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(b.join("d/b"), "user.x", b"v", flags).unwrap();
        };
        let probe = tempfile::tempdir().unwrap();
        tree(probe.path());
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(probe.path().join("d/b"), "user.x", b"v", flags).is_ok() {
            finds(set, &["differs: ACL or attributes"]);
        }
    }
}
