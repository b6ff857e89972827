//! The configuration in use, replaced as a whole by a reload or a change through the API.
//!
//! Invariant: readers hold one consistent [`Config`]; a wrong file leaves it as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use common::config::LoadError;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::edit::{Draft, EditError, write};
use super::load::{Config, check, load};

/// What a check or reload found to be different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadReport {
    /// Files read.
    pub files: Vec<PathBuf>,
    /// What differs: `job nightly added`.
    pub changes: Vec<String>,
}

/// The configuration in use.
#[derive(Debug)]
pub struct LiveConfig {
    path: PathBuf,
    current: ArcSwap<Config>,
    /// One writer of files at a time.
    writing: Mutex<()>,
    changed: watch::Sender<u64>,
}

impl LiveConfig {
    /// Loads the file `path` and what belongs to it.
    ///
    /// # Errors
    /// As [`load`].
    pub fn open(path: &Path) -> Result<Arc<Self>, LoadError> {
        let config = load(path)?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            current: ArcSwap::from_pointee(config),
            writing: Mutex::new(()),
            changed: watch::Sender::new(0),
        }))
    }

    /// The configuration now.
    #[must_use]
    pub fn get(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// Is told of each change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What a reload would change. Blocks on files.
    ///
    /// # Errors
    /// As [`load`].
    pub fn check(&self) -> Result<ReloadReport, LoadError> {
        let new = load(&self.path)?;
        Ok(report(&self.get(), &new))
    }

    /// Takes the files into use. Blocks on files.
    ///
    /// # Errors
    /// As [`load`]; nothing has changed then.
    pub fn reload(&self) -> Result<ReloadReport, LoadError> {
        let _writing = self.writing.lock();
        let new = load(&self.path)?;
        Ok(self.swap(new))
    }

    /// Checks, writes and takes a draft into use; returns the files written. Blocks on files.
    ///
    /// # Errors
    /// [`EditError`]; nothing has changed in use.
    pub fn apply(&self, draft: &Draft) -> Result<(ReloadReport, Vec<PathBuf>), EditError> {
        let _writing = self.writing.lock();
        let now = self.get();
        if now.director.files_only {
            return Err(EditError::FilesOnly);
        }
        let sources = draft.sources(&now.folder)?;
        let new = check(&self.path, &sources)?;
        write(&sources)?;
        let files = sources.iter().map(|s| s.path.clone()).collect();
        Ok((self.swap(new), files))
    }

    fn swap(&self, new: Config) -> ReloadReport {
        let report = report(&self.get(), &new);
        self.current.store(Arc::new(new));
        self.changed.send_modify(|n| *n += 1);
        report
    }
}

fn report(old: &Config, new: &Config) -> ReloadReport {
    let mut changes = Vec::new();
    if old.director != new.director {
        changes.push("director changed (addresses to listen on take a restart)".to_owned());
    }
    if old.catalog != new.catalog {
        changes.push("catalog changed (takes a restart)".to_owned());
    }
    compare("storage", &old.storages, &new.storages, &mut changes);
    compare("pool", &old.pools, &new.pools, &mut changes);
    compare("client", &old.clients, &new.clients, &mut changes);
    compare("fileset", &old.filesets, &new.filesets, &mut changes);
    compare("schedule", &old.schedules, &new.schedules, &mut changes);
    compare("job", &old.jobs, &new.jobs, &mut changes);
    compare("user", &old.users, &new.users, &mut changes);
    ReloadReport {
        files: new.files.clone(),
        changes,
    }
}

fn compare<T: PartialEq>(
    kind: &str,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    changes: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        match (old.get(name), new.get(name)) {
            (None, Some(_)) => changes.push(format!("{kind} {name} added")),
            (Some(_), None) => changes.push(format!("{kind} {name} removed")),
            (Some(a), Some(b)) if a != b => changes.push(format!("{kind} {name} changed")),
            _ => {}
        }
    }
}
