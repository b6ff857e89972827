//! The order of a restore, checked: where to, what is cut off the paths, what happens to existing files.

use std::sync::Arc;

use common::fileset::Command;
use common::name::Shown;
use common::protocol::orders::{Replace, RestoreOrder, Selection};

use super::extra::Guard;
use crate::select::includes::{normalise, tail_below};

/// What the run does with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Writes files.
    Restore,
    /// Says what it would do.
    DryRun,
    /// Compares with live files.
    Compare,
}

/// A checked order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// JobId.
    pub job_id: u64,
    /// What to do.
    pub mode: Mode,
    /// Folder that takes the tree, absolute.
    pub to: Vec<u8>,
    /// Leading names dropped.
    pub strip: Vec<Vec<u8>>,
    /// Names put in front, below `to`.
    pub prefix: Vec<Vec<u8>>,
    /// What happens to existing files.
    pub replace: Replace,
    /// Says which names that the snapshot does not hold are removed; `None` = they all stay.
    pub extra: Option<Arc<Guard>>,
    /// In place: programs that take saved output back, by path. Elsewhere `None`: all content becomes files.
    pub commands: Option<Vec<Command>>,
}

/// An order that cannot be carried out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OrderError {
    /// A path is not absolute or has `.` or `..` parts.
    #[error(
        "{what} {} is not an absolute path without . and .. parts",
        Shown(path)
    )]
    Path {
        /// Which one.
        what: &'static str,
        /// As given.
        path: Vec<u8>,
    },
    /// Unknown mode or replace policy.
    #[error("{what} {value:?} is not known to this version of the File Daemon")]
    Unknown {
        /// Which field.
        what: &'static str,
        /// As given.
        value: String,
    },
    /// `exact` with a selection that leaves out names of restored folders.
    #[error(
        "exact removes what the snapshot does not hold, so it needs whole folders: drop the patterns and exclusions"
    )]
    ExactNeedsWholeFolders,
    /// `exact` without the FileSet that says what the snapshot would hold.
    #[error("exact needs the FileSet of the snapshot, and the order has none: update the Director")]
    ExactNeedsFileSet,
    /// The FileSet of the snapshot cannot be used by this version.
    #[error("exact needs the FileSet of the snapshot, and it makes no sense here: {0}")]
    FileSet(String),
    /// The client does not permit restores there.
    #[error("restores to {} are not permitted on this client: add it to permit_restore in client.toml or choose another folder", Shown(.0))]
    NotPermitted(Vec<u8>),
}

impl Plan {
    /// Checks an order against itself and the folders this client permits (empty = none).
    ///
    /// # Errors
    /// [`OrderError`]
    pub fn new(order: &RestoreOrder, permit: &[Vec<u8>]) -> Result<Self, OrderError> {
        let to = absolute("target folder", &order.to)?;
        let mode = match order.mode.as_str() {
            "restore" | "" => Mode::Restore,
            "dry-run" => Mode::DryRun,
            "compare" => Mode::Compare,
            other => {
                return Err(OrderError::Unknown {
                    what: "mode",
                    value: other.to_owned(),
                });
            }
        };
        let replace = Replace::try_from(order.replace).map_err(|n| OrderError::Unknown {
            what: "replace policy",
            value: n.0.to_string(),
        })?;
        if order.exact && !order.selection.as_ref().is_none_or(takes_whole_folders) {
            return Err(OrderError::ExactNeedsWholeFolders);
        }
        let strip = parts("stripped path", &order.strip)?;
        let prefix = parts("prefix", &order.prefix)?;
        let in_place = to == b"/" && strip.is_empty() && prefix.is_empty();
        let plan = Self {
            job_id: order.job_id,
            mode,
            to,
            strip,
            prefix,
            commands: in_place.then(|| order.commands.clone()),
            replace,
            extra: guard(order)?,
        };
        plan.check_permit(&plan.to, permit)?;
        Ok(plan)
    }

    /// The program and its arguments that take the saved output at `path` back; `None` when it becomes a file.
    #[must_use]
    pub fn command_for(&self, path: &[u8]) -> Option<&[String]> {
        let commands = self.commands.as_deref().unwrap_or_default();
        let command = commands.iter().find(|command| command.path == path)?;
        (!command.write.is_empty()).then_some(command.write.as_slice())
    }

    /// Refuses a folder (with all links resolved by the caller, or as ordered) that is below no permitted one.
    ///
    /// # Errors
    /// [`OrderError::NotPermitted`]
    pub fn check_permit(&self, folder: &[u8], permit: &[Vec<u8>]) -> Result<(), OrderError> {
        let allowed = self.mode != Mode::Restore
            || permit
                .iter()
                .filter_map(|p| normalise(p))
                .any(|p| tail_below(&p, folder).is_some());
        if allowed {
            Ok(())
        } else {
            Err(OrderError::NotPermitted(folder.to_vec()))
        }
    }
}

/// What keeps `exact` from removing what was never to be saved.
fn guard(order: &RestoreOrder) -> Result<Option<Arc<Guard>>, OrderError> {
    if !order.exact {
        return Ok(None);
    }
    let fileset = order.fileset.as_ref();
    let fileset = fileset.ok_or(OrderError::ExactNeedsFileSet)?;
    let guard = Guard::new(fileset, &order.own_folders);
    let guard = guard.map_err(|e| OrderError::FileSet(e.to_string()))?;
    Ok(Some(Arc::new(guard)))
}

fn takes_whole_folders(selection: &Selection) -> bool {
    selection.globs.is_empty()
        && selection.regexes.is_empty()
        && selection.excluded.is_empty()
        && selection.not_in_root.is_empty()
}

fn absolute(what: &'static str, path: &[u8]) -> Result<Vec<u8>, OrderError> {
    normalise(path).ok_or_else(|| OrderError::Path {
        what,
        path: path.to_vec(),
    })
}

/// The names of a path that may be empty and may lack its leading slash.
fn parts(what: &'static str, path: &[u8]) -> Result<Vec<Vec<u8>>, OrderError> {
    if path.is_empty() || path == b"/" {
        return Ok(Vec::new());
    }
    let rooted = if path.starts_with(b"/") {
        path.to_vec()
    } else {
        [b"/", path].concat()
    };
    let path = absolute(what, &rooted)?;
    let names = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use common::fileset::FileSet;

    fn order() -> RestoreOrder {
        RestoreOrder {
            to: b"/r".to_vec(),
            mode: "restore".into(),
            ..RestoreOrder::default()
        }
    }

    #[test]
    fn orders_are_checked() {
        let all = [b"/".to_vec()];
        let plan = Plan::new(
            &RestoreOrder {
                strip: b"/home/u/".to_vec(),
                prefix: b"x/y".to_vec(),
                ..order()
            },
            &all,
        )
        .unwrap();
        assert_eq!(plan.strip, [b"home".to_vec(), b"u".to_vec()]);
        assert_eq!(plan.prefix, [b"x".to_vec(), b"y".to_vec()]);
        for bad in [
            RestoreOrder {
                to: b"r".to_vec(),
                ..order()
            },
            RestoreOrder {
                to: b"/a/../b".to_vec(),
                ..order()
            },
            RestoreOrder {
                prefix: b"../x".to_vec(),
                ..order()
            },
            RestoreOrder {
                mode: "burn".into(),
                ..order()
            },
            RestoreOrder {
                replace: 99,
                ..order()
            },
        ] {
            assert!(Plan::new(&bad, &all).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn commands_take_content_back_only_in_place() {
        let command = |path: &str, write: &[&str]| Command {
            path: path.into(),
            read: vec!["dump".into()],
            write: write.iter().map(|w| (*w).to_owned()).collect(),
        };
        let order = RestoreOrder {
            to: b"/".to_vec(),
            commands: vec![command("/db.sql", &["psql", "app"]), command("/list", &[])],
            ..order()
        };
        let all = [b"/".to_vec()];
        let plan = Plan::new(&order, &all).unwrap();
        assert_eq!(plan.command_for(b"/db.sql").unwrap(), ["psql", "app"]);
        assert_eq!(plan.command_for(b"/list"), None);
        assert_eq!(plan.command_for(b"/db.sql2"), None);
        for elsewhere in [
            RestoreOrder {
                to: b"/r".to_vec(),
                ..order.clone()
            },
            RestoreOrder {
                prefix: b"/r".to_vec(),
                ..order.clone()
            },
            RestoreOrder {
                strip: b"/home".to_vec(),
                ..order.clone()
            },
        ] {
            let plan = Plan::new(&elsewhere, &all).unwrap();
            assert_eq!(plan.command_for(b"/db.sql"), None);
        }
    }

    #[test]
    fn only_permitted_folders_take_a_restore_but_anything_may_be_compared() {
        let permit = [b"/srv/restore".to_vec()];
        assert_eq!(
            Plan::new(&order(), &permit).unwrap_err(),
            OrderError::NotPermitted(b"/r".to_vec())
        );
        let inside = RestoreOrder {
            to: b"/srv/restore/a".to_vec(),
            ..order()
        };
        assert!(Plan::new(&inside, &permit).is_ok());
        let beside = RestoreOrder {
            to: b"/srv/restored".to_vec(),
            ..order()
        };
        assert!(Plan::new(&beside, &permit).is_err());
        assert!(
            Plan::new(
                &RestoreOrder {
                    mode: "compare".into(),
                    ..order()
                },
                &permit
            )
            .is_ok()
        );
    }

    #[test]
    fn exact_is_refused_when_patterns_leave_names_out() {
        let all = [b"/".to_vec()];
        let with = |selection| RestoreOrder {
            exact: true,
            fileset: Some(FileSet::default()),
            selection: Some(selection),
            ..order()
        };
        let paths = Selection {
            paths: vec![b"/home".to_vec()],
            ..Selection::default()
        };
        assert!(Plan::new(&with(paths.clone()), &all).is_ok());
        let unknown = RestoreOrder {
            fileset: None,
            ..with(paths)
        };
        assert_eq!(
            Plan::new(&unknown, &all).unwrap_err(),
            OrderError::ExactNeedsFileSet
        );
        let globs = Selection {
            globs: vec!["*.c".into()],
            ..Selection::default()
        };
        assert_eq!(
            Plan::new(&with(globs), &all).unwrap_err(),
            OrderError::ExactNeedsWholeFolders
        );
    }
}
