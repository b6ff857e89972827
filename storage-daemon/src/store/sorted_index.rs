//! The index of version 1: what came last in memory, all else in immutable sorted runs.
//!
//! Memory: a table of at most 224 Ki ids (12 MiB), another one while it is written out, and 1.4 bytes per id of the
//! runs. Runs of like size are merged, so there are few: a lookup of an absent id costs a cache line per run. No log:
//! the volumes are the log. The manifest names the runs and the marks they cover and is replaced as a whole; files it
//! does not name are removed. Invariant: a mark becomes durable only together with all ids it covers.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::codec::Reader;
use common::ids::ChunkId;
use parking_lot::{Mutex, RwLock};

use super::run::{Entry, Run, RunIter, RunWriter};
use super::{ChunkIndex, IndexError, Mark};
use crate::volume::Location;

/// Ids in memory before they are written out: seven eighths of a table of 256 Ki.
const MAX_IN_MEMORY: usize = 224 << 10;
/// Runs of like size that are merged at once.
const FAN: usize = 4;
const MAGIC: &[u8; 8] = b"HFIXMAN1";
/// The place of an id that is gone.
const GONE: Location = Location {
    volume: 0,
    unit: 0,
    units: 0,
    slot: 0,
};

/// Ids are hashes already.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        if let Some(word) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*word);
        }
    }
    fn write_usize(&mut self, _: usize) {}
}

/// A map from ids.
pub type IdMap<V> = HashMap<ChunkId, V, BuildHasherDefault<IdHasher>>;

#[derive(Default)]
struct State {
    table: IdMap<Location>,
    marks: HashMap<u32, Mark>,
    /// Being written out.
    frozen: Option<Arc<Frozen>>,
    /// Oldest first.
    runs: Arc<Vec<Arc<Run>>>,
}

/// A table on its way to disk, and the marks that it and all runs before it cover.
struct Frozen {
    table: IdMap<Location>,
    marks: HashMap<u32, Mark>,
}

/// See the module.
pub struct SortedIndex {
    folder: PathBuf,
    state: RwLock<State>,
    /// Held while runs are written.
    upkeep: Mutex<()>,
    next_file: AtomicU64,
    before_manifest: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
}

impl SortedIndex {
    /// Opens the index in `folder`. When it is absent or damaged it starts empty, without marks, to be rebuilt.
    /// `before_manifest` makes durable what else the marks cover.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(
        folder: &Path,
        before_manifest: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
    ) -> Result<Self, IndexError> {
        let fail = |source| IndexError::Io {
            operation: "open index folder",
            path: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(fail)?;
        let state = load(folder).unwrap_or_else(|error| {
            if !matches!(&error, IndexError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound) {
                tracing::warn!(%error, "the index is rebuilt from the volumes");
            }
            State::default()
        });
        let mut next = 1;
        for entry in fs::read_dir(folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let number = path
                .file_stem()
                .and_then(|s| s.to_str())
                .and_then(|s| s.parse::<u64>().ok());
            next = next.max(number.unwrap_or(0) + 1);
            if path.extension().is_some_and(|e| e == "run")
                && !state.runs.iter().any(|r| r.path == path)
            {
                fs::remove_file(&path).map_err(fail)?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            state: RwLock::new(state),
            upkeep: Mutex::new(()),
            next_file: AtomicU64::new(next),
            before_manifest,
        })
    }

    /// Forgets everything, for a rebuild.
    ///
    /// # Errors
    /// The manifest cannot be removed.
    pub fn clear(&self) -> Result<(), IndexError> {
        let path = self.folder.join("manifest");
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(IndexError::Io {
                    operation: "remove",
                    path,
                    source,
                });
            }
            _ => {}
        }
        *self.state.write() = State::default();
        Ok(())
    }

    fn write_out(&self) -> Result<(), IndexError> {
        let _upkeep = self.upkeep.lock();
        let frozen = {
            let mut state = self.state.write();
            let state = &mut *state;
            state
                .frozen
                .get_or_insert_with(|| {
                    let table = std::mem::take(&mut state.table);
                    Arc::new(Frozen {
                        table,
                        marks: state.marks.clone(),
                    })
                })
                .clone()
        };
        let run = match frozen.table.is_empty() {
            true => None,
            false => Some(Arc::new(self.write_table(&frozen.table)?)),
        };
        {
            let mut state = self.state.write();
            Arc::make_mut(&mut state.runs).extend(run);
            state.frozen = None;
        }
        self.merge()?;
        self.write_manifest(&frozen.marks)
    }

    fn write_table(&self, table: &IdMap<Location>) -> Result<Run, IndexError> {
        let mut entries: Vec<Entry> = table.iter().map(|(id, place)| (*id, *place)).collect();
        entries.sort_unstable_by(|a, b| order(&a.0, &b.0));
        let mut writer = RunWriter::create(&self.new_path(), entries.len() as u64)?;
        entries.iter().try_for_each(|entry| writer.push(entry))?;
        writer.finish()
    }

    fn new_path(&self) -> PathBuf {
        let number = self.next_file.fetch_add(1, Ordering::SeqCst);
        self.folder.join(format!("{number:08}.run"))
    }

    /// Merges the newest runs when [`FAN`] of them are of like size: an id is rewritten once per power of [`FAN`].
    fn merge(&self) -> Result<(), IndexError> {
        loop {
            let runs = self.state.read().runs.clone();
            let newest = newest_of_like_size(&runs);
            if newest.len() < FAN {
                return Ok(());
            }
            let is_oldest = newest.len() == runs.len();
            let merged = merge(newest, is_oldest, &self.new_path())?;
            let mut state = self.state.write();
            let list = Arc::make_mut(&mut state.runs);
            list.truncate(runs.len() - newest.len());
            list.push(Arc::new(merged));
        }
    }

    fn write_manifest(&self, marks: &HashMap<u32, Mark>) -> Result<(), IndexError> {
        let path = self.folder.join("manifest");
        let fail = |source| IndexError::Io {
            operation: "write",
            path: path.clone(),
            source,
        };
        (self.before_manifest)().map_err(fail)?;
        let runs = self.state.read().runs.clone();
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&(runs.len() as u32).to_le_bytes());
        out.extend_from_slice(&(marks.len() as u32).to_le_bytes());
        for run in runs.iter() {
            out.extend_from_slice(&run_number(&run.path).to_le_bytes());
        }
        for (volume, mark) in marks {
            out.extend_from_slice(&volume.to_le_bytes());
            out.extend_from_slice(&mark.to_le_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        common::durable::write_atomic(&path, &out, common::durable::SECRET).map_err(fail)?;
        self.remove_unnamed(&runs);
        Ok(())
    }

    fn remove_unnamed(&self, runs: &[Arc<Run>]) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for path in entries.flatten().map(|e| e.path()) {
            if path.extension().is_some_and(|e| e == "run") && !runs.iter().any(|r| r.path == path)
            {
                // Left over files are removed again at the next start.
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn run_number(path: &Path) -> u64 {
    path.file_stem()
        .and_then(|s| s.to_str())
        .and_then(|s| s.parse().ok())
        .unwrap_or(0)
}

fn load(folder: &Path) -> Result<State, IndexError> {
    let path = folder.join("manifest");
    let damaged = || IndexError::Damaged { path: path.clone() };
    let bytes = fs::read(&path).map_err(|source| IndexError::Io {
        operation: "read",
        path: path.clone(),
        source,
    })?;
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(damaged());
    }
    let mut r = Reader::new(body);
    let mut state = State::default();
    let mut read = || -> Result<(), common::codec::DecodeError> {
        r.array::<8>("manifest magic")?;
        let (runs, marks) = (r.u32("runs")?, r.u32("marks")?);
        let mut paths = Vec::new();
        for _ in 0..runs {
            paths.push(folder.join(format!("{:08}.run", r.u64("run")?)));
        }
        for _ in 0..marks {
            let volume = r.u32("mark")?;
            state.marks.insert(volume, r.u64("mark")?);
        }
        let runs = paths
            .iter()
            .map(|path| Run::open(path).map(Arc::new))
            .collect::<Result<_, _>>();
        state.runs = Arc::new(runs.map_err(|_| common::codec::DecodeError::Range { what: "run" })?);
        Ok(())
    };
    if !body.starts_with(MAGIC) || read().is_err() {
        return Err(damaged());
    }
    Ok(state)
}

/// The newest runs, as long as each is at most twice as long as all newer ones together.
fn newest_of_like_size(runs: &[Arc<Run>]) -> &[Arc<Run>] {
    let (mut from, mut newer) = (runs.len(), 0);
    for (at, run) in runs.iter().enumerate().rev() {
        if newer > 0 && run.len() > newer * 2 {
            break;
        }
        (from, newer) = (at, newer + run.len());
    }
    runs.get(from..).unwrap_or_default()
}

/// Writes runs as one: of an id in several the newest place counts, and in the oldest run nothing needs to be gone.
fn merge(runs: &[Arc<Run>], is_oldest: bool, path: &Path) -> Result<Run, IndexError> {
    let mut writer = RunWriter::create(path, runs.iter().map(|run| run.len()).sum())?;
    let mut sources = Vec::with_capacity(runs.len());
    for run in runs {
        let mut iter = run.iter()?;
        if let Some(head) = step(&mut iter)? {
            sources.push((head, iter));
        }
    }
    // The last of the smallest is the newest.
    while let Some(smallest) = sources.iter().map(|(head, _)| head.0).min_by(order) {
        let mut newest = None;
        let mut at = 0;
        while let Some((head, iter)) = sources.get_mut(at) {
            if head.0 != smallest {
                at += 1;
                continue;
            }
            newest = Some(*head);
            match step(iter)? {
                Some(next) => {
                    *head = next;
                    at += 1;
                }
                None => drop(sources.remove(at)),
            }
        }
        if let Some(entry) = newest.filter(|e| !(is_oldest && e.1 == GONE)) {
            writer.push(&entry)?;
        }
    }
    writer.finish()
}

/// The order of ids; their first word nearly always decides it.
fn order(a: &ChunkId, b: &ChunkId) -> std::cmp::Ordering {
    let word = |id: &ChunkId| id.0.first_chunk::<8>().map(|b| u64::from_be_bytes(*b));
    word(a).cmp(&word(b)).then_with(|| a.0.cmp(&b.0))
}

fn step(run: &mut RunIter) -> Result<Option<Entry>, IndexError> {
    run.next().transpose()
}

impl ChunkIndex for SortedIndex {
    fn get(&self, id: &ChunkId) -> Result<Option<Location>, IndexError> {
        let runs = {
            let state = self.state.read();
            let recent = state
                .table
                .get(id)
                .or_else(|| state.frozen.as_ref().and_then(|f| f.table.get(id)));
            if let Some(place) = recent {
                return Ok((*place != GONE).then_some(*place));
            }
            // A lookup that needs a read does it outside the lock.
            state.runs.clone()
        };
        for run in runs.iter().rev() {
            if let Some(place) = run.get(id)? {
                return Ok((place != GONE).then_some(place));
            }
        }
        Ok(None)
    }

    fn insert(
        &self,
        batch: &mut dyn Iterator<Item = (ChunkId, Location)>,
        volume: u32,
        mark: Mark,
    ) -> Result<(), IndexError> {
        let mut batch = batch.peekable();
        while batch.peek().is_some() {
            let is_full = {
                let mut state = self.state.write();
                let room = MAX_IN_MEMORY.saturating_sub(state.table.len());
                for (id, place) in batch.by_ref().take(room) {
                    state.table.insert(id, place);
                }
                state.table.len() >= MAX_IN_MEMORY
            };
            if is_full {
                self.write_out()?;
            }
        }
        self.state.write().marks.insert(volume, mark);
        Ok(())
    }

    fn remove(&self, batch: &[(ChunkId, Location)]) -> Result<(), IndexError> {
        for (id, place) in batch {
            if self.get(id)? == Some(*place) {
                self.state.write().table.insert(*id, GONE);
            }
        }
        Ok(())
    }

    fn marks(&self) -> HashMap<u32, Mark> {
        self.state.read().marks.clone()
    }

    fn len(&self) -> u64 {
        let state = self.state.read();
        let frozen = state.frozen.as_ref().map_or(0, |f| f.table.len());
        (state.table.len() + frozen) as u64 + state.runs.iter().map(|r| r.len()).sum::<u64>()
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.write_out()
    }
}

#[cfg(test)]
#[path = "sorted_index_tests.rs"]
mod tests;
