//! Compares two trees name by name and says how many are identical.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::entry::Entry;
use super::walk;
use crate::finding::{Finding, Report};

/// Bytes read at once from each side.
const READ_BYTES: usize = 256 * 1024;
const REMEDY: &str = "the original and the restored tree are not the same";

/// Compares `source` with `restored`. Fails when the source cannot be read.
pub fn check(source: &Path, restored: &Path) -> Result<Report> {
    let names = walk::list(source)?;
    let expected: BTreeSet<&PathBuf> = names.iter().collect();
    let mut report = Report::new("compare");
    let mut groups = Groups::default();
    let mut identical = 0_usize;
    for name in &names {
        let found = differences(source, restored, name, &mut groups)?;
        identical += usize::from(found.is_empty());
        report.extend(
            found
                .into_iter()
                .map(|what| Finding::new(name, 1, what, REMEDY)),
        );
    }
    let extra: Vec<PathBuf> = walk::list(restored).unwrap_or_default();
    for name in extra.iter().filter(|name| !expected.contains(name)) {
        report.extend([Finding::new(name, 1, "was not in the original", REMEDY)]);
    }
    report.fact(format!("{identical} of {} identical", names.len()));
    Ok(report)
}

fn differences(
    source: &Path,
    restored: &Path,
    name: &Path,
    groups: &mut Groups,
) -> Result<Vec<String>> {
    let ours = Entry::read(source, name)
        .with_context(|| format!("read {}", source.join(name).display()))?;
    let theirs = match Entry::read(restored, name) {
        Ok(entry) => entry,
        Err(error) => {
            return Ok(vec![format!(
                "cannot be read where it was restored: {error}"
            )]);
        }
    };
    let mut found: Vec<String> = ours
        .differences(&theirs)
        .into_iter()
        .map(|what| format!("differs: {what}"))
        .collect();
    if !groups.agree(&ours, &theirs) {
        found.push("differs: which names are hard links of one file".to_owned());
    }
    let both_files = ours.metadata.is_file() && theirs.metadata.is_file();
    if both_files && !same_content(&source.join(name), &restored.join(name))? {
        found.push("differs: content".to_owned());
    }
    Ok(found)
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
        let report = check(a.path(), b.path()).unwrap();
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
