//! Estimate: what a backup would save, by the walk of a backup that reads nothing; and which rule decides about a path.

use std::path::Path;

use common::fileset::FileSet;
use common::name::Shown;
use common::object::entry::Kind;
use common::object::snapshot::Counts;
use common::protocol::orders::{BrowseOrder, EstimateOrder, EstimateReply, Severity};
use rustix::fs::CWD;
use tokio_util::sync::CancellationToken;

use crate::attributes::look;
use crate::attributes::look::Looked;
use crate::runlog::RunLog;
use crate::scan::listing::{Batch, Event};
use crate::scan::tally::Tally;
use crate::scan::walker::{Plan, Stopped, walk};
use crate::select::{Facts, SelectError, Selector};

/// Most paths listed, whatever is asked for.
const MOST_PATHS: usize = 10_000;
/// Most remarks given back.
const MOST_REMARKS: usize = 1000;

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    /// The order has no FileSet.
    #[error("the order names no file set")]
    NoFileSet,
    /// The FileSet cannot be used.
    #[error("the file set cannot be used")]
    FileSet(#[from] SelectError),
    /// Canceled.
    #[error("the estimate was canceled")]
    Canceled,
}

/// Counts what a backup with this FileSet would save, and lists as many paths as asked for.
///
/// # Errors
/// The FileSet is bad, or `stop` was canceled.
pub fn estimate(
    order: &EstimateOrder,
    stop: &CancellationToken,
) -> Result<EstimateReply, EstimateError> {
    let fileset = order.fileset.as_ref().ok_or(EstimateError::NoFileSet)?;
    let plan = Plan::new(fileset, selector(fileset, &order.own_folders)?);
    let (log, tally) = (RunLog::default(), Tally::default());
    let mut counter = Counter {
        most: (order.list as usize).min(MOST_PATHS),
        ..Counter::default()
    };
    let walked = walk(&plan, (&log, &tally), &mut |batch| {
        if stop.is_cancelled() {
            return Err(Stopped);
        }
        counter.take(&batch);
        Ok(())
    });
    walked.map_err(|Stopped| EstimateError::Canceled)?;
    let remarks = log.take(MOST_REMARKS);
    let worth = |severity| severity >= Severity::Notice as i32;
    Ok(EstimateReply {
        counts: Some(Counts {
            unsaved: tally.counts().unsaved,
            ..counter.counts
        }),
        paths: counter.paths,
        remarks: remarks
            .into_iter()
            .filter(|l| worth(l.severity))
            .map(|l| l.text)
            .collect(),
    })
}

/// Says which rule decides about one path, looking at the path when it exists.
///
/// # Errors
/// The FileSet is bad.
pub fn explain(
    order: &BrowseOrder,
    own_folders: &[Vec<u8>],
) -> Result<EstimateReply, EstimateError> {
    let fileset = order.fileset.as_ref().ok_or(EstimateError::NoFileSet)?;
    let selector = selector(fileset, own_folders)?;
    let found = look(CWD, &order.path);
    let facts = found.as_ref().ok().map(facts_of);
    let mut remarks = vec![selector.explain(&order.path, facts.as_ref())];
    if let Err(e) = &found {
        remarks.push(format!("{} cannot be looked at: {e}", Shown(&order.path)));
    }
    remarks.extend(marker_remark(&selector, &order.path));
    Ok(EstimateReply {
        remarks,
        ..EstimateReply::default()
    })
}

/// The nearest directory above that keeps only its marker, if there is one: rules alone do not tell.
fn marker_remark(selector: &Selector, path: &[u8]) -> Option<String> {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    path.ancestors().skip(1).find_map(|above| {
        let bytes = above.as_os_str().as_bytes();
        let include = selector.include_of(bytes)?;
        let marker = include
            .exclude_if_present
            .iter()
            .find(|name| above.join(name).symlink_metadata().is_ok())?;
        Some(format!(
            "but only {} is saved of the directory {}, which holds it",
            Shown(marker.as_bytes()),
            Shown(bytes)
        ))
    })
}

fn selector(fileset: &FileSet, own_folders: &[Vec<u8>]) -> Result<Selector, SelectError> {
    Ok(Selector::new(fileset)?.without_own_folders(own_folders.iter().cloned()))
}

fn facts_of(looked: &Looked) -> Facts {
    Facts {
        kind: looked.kind,
        size_bytes: looked.stat.size,
        nodump: looked.nodump,
    }
}

/// Counts what the walk finds.
#[derive(Default)]
struct Counter {
    counts: Counts,
    paths: Vec<Vec<u8>>,
    most: usize,
    /// Path of the directory the walk is in, and where each level's name starts.
    path: Vec<u8>,
    levels: Vec<usize>,
}

impl Counter {
    fn take(&mut self, batch: &Batch) {
        for event in &batch.events {
            match event {
                Event::Item { name, looked, .. } => self.item(batch.name_of(name), Some(looked)),
                Event::Command { name, .. } => self.item(batch.name_of(name), None),
                Event::Enter { name, .. } => self.enter(batch.name_of(name)),
                Event::Leave => {
                    let start = self.levels.pop().unwrap_or_default();
                    self.path.truncate(start);
                }
                Event::Lost { .. } | Event::Broken { .. } => {}
            }
        }
    }

    fn enter(&mut self, name: &[u8]) {
        self.levels.push(self.path.len());
        if name.is_empty() {
            // `/` itself is the tree, not an entry of it.
            return;
        }
        self.path.push(b'/');
        self.path.extend_from_slice(name);
        self.counts.entries += 1;
        self.counts.directories += 1;
        if self.paths.len() < self.most {
            self.paths.push(self.path.clone());
        }
    }

    fn item(&mut self, name: &[u8], looked: Option<&Looked>) {
        self.counts.entries += 1;
        if looked.is_none_or(|l| l.kind == Kind::File) {
            self.counts.files += 1;
        }
        let bytes = looked
            .filter(|l| l.kind == Kind::File)
            .map_or(0, content_bytes);
        self.counts.protected_bytes = self.counts.protected_bytes.saturating_add(bytes);
        if self.paths.len() < self.most {
            self.paths.push([self.path.as_slice(), b"/", name].concat());
        }
    }
}

/// Holes are not content.
fn content_bytes(looked: &Looked) -> u64 {
    if looked.may_have_holes() {
        looked.allocated_bytes
    } else {
        looked.stat.size
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use common::fileset::{Include, Rule};
    use std::os::unix::ffi::OsStrExt;

    fn fileset(path: &Path) -> FileSet {
        FileSet {
            includes: vec![Include {
                path: path.as_os_str().as_bytes().to_vec(),
                exclude_if_present: vec![".nobackup".into()],
                ..Include::default()
            }],
            rules: vec![Rule {
                glob: "*.tmp".into(),
                origin: "director.toml:9".into(),
                ..Rule::default()
            }],
            ..FileSet::default()
        }
    }

    #[test]
    fn counts_and_paths_are_those_of_a_backup() {
        let tmp = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize| {
            std::fs::write(tmp.path().join(name), vec![1; bytes]).unwrap()
        };
        for d in ["d", "marked"] {
            std::fs::create_dir(tmp.path().join(d)).unwrap();
        }
        for (name, bytes) in [
            ("a", 10),
            ("b.tmp", 100),
            ("d/c", 1000),
            ("marked/.nobackup", 0),
            ("marked/x", 5),
        ] {
            write(name, bytes);
        }
        std::fs::File::create(tmp.path().join("hole"))
            .unwrap()
            .set_len(1 << 30)
            .unwrap();
        std::os::unix::fs::symlink("a", tmp.path().join("l")).unwrap();
        let order = EstimateOrder {
            fileset: Some(fileset(tmp.path())),
            list: 100,
            own_folders: vec![],
        };
        let reply = estimate(&order, &CancellationToken::new()).unwrap();
        let counts = reply.counts.unwrap();
        assert_eq!((counts.files, counts.protected_bytes), (4, 1010));
        let root = tmp.path().as_os_str().as_bytes();
        let mut names: Vec<String> = reply
            .paths
            .iter()
            .filter_map(|p| p.strip_prefix(root))
            .map(|p| String::from_utf8(p.to_vec()).unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "",
                "/a",
                "/d",
                "/d/c",
                "/hole",
                "/l",
                "/marked",
                "/marked/.nobackup"
            ]
        );
        let few = estimate(
            &EstimateOrder { list: 0, ..order },
            &CancellationToken::new(),
        )
        .unwrap();
        assert!(few.paths.is_empty());
    }

    #[test]
    fn one_path_is_explained_with_its_marker() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir(tmp.path().join("marked")).unwrap();
        std::fs::write(tmp.path().join("marked/.nobackup"), b"").unwrap();
        std::fs::write(tmp.path().join("marked/x"), b"").unwrap();
        let said = |name: &str| {
            let path = tmp.path().join(name).as_os_str().as_bytes().to_vec();
            let order = BrowseOrder {
                fileset: Some(fileset(tmp.path())),
                path,
            };
            explain(&order, &[]).unwrap().remarks.join("\n")
        };
        assert!(
            said("marked/x").contains("but only .nobackup is saved"),
            "{}",
            said("marked/x")
        );
        assert!(
            said("a.tmp").contains("director.toml:9"),
            "{}",
            said("a.tmp")
        );
        assert!(said("a.tmp").contains("cannot be looked at"));
    }
}
