//! The store: volumes, index, snapshots, cache and counters, opened together.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::codec::Reader;
use common::ids::{ChunkId, SessionId};
use parking_lot::Mutex;
use uuid::Uuid;

use super::damaged::Damaged;
use super::index::{ChunkIndex as _, IndexError};
use super::pages::PageCache;
use super::snapshots::Snapshots;
use super::sorted_index::SortedIndex;
use super::verify::Pool;
use crate::device::{Device, DeviceError};
use crate::volume::set::Making;
use crate::volume::{ReadError, VolumeError, VolumeSet};

/// Session numbers written ahead, so that opening a session seldom writes.
const SESSIONS_AHEAD: u64 = 64;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Folder for derived state.
    pub state: PathBuf,
    /// This Storage Daemon.
    pub storage: Uuid,
    /// Longest volume in bytes.
    pub max_volume_bytes: u64,
}

/// Why the store cannot do something. All of it is the sink's: never the fault of what a client read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A volume failed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A block could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A page names something that is not here.
    #[error("page {page} names {target}, which is not present")]
    Missing {
        /// The page.
        page: ChunkId,
        /// What it names.
        target: ChunkId,
    },
    /// A file of the state folder failed.
    #[error("cannot write {path}")]
    State {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A block is longer than a volume may be.
    #[error("a block of {bytes} bytes does not fit a volume; raise max_volume")]
    TooLong {
        /// Its payload.
        bytes: usize,
    },
    /// What is left is kept for commits and seals.
    #[error("only {free} bytes are free and {reserve} are kept in reserve")]
    NearlyFull {
        /// Free bytes.
        free: u64,
        /// Kept for ends in order.
        reserve: u64,
    },
    /// The session has failed before.
    #[error("the session has failed and takes nothing more")]
    Ended,
}

impl StoreError {
    /// Whether space is exhausted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Volume(e) => e.is_full(),
            Self::Device(e) => e.is_full(),
            Self::NearlyFull { .. } => true,
            _ => false,
        }
    }
}

/// See the module.
pub struct Store {
    volumes: VolumeSet,
    index: SortedIndex,
    damaged: Damaged,
    snapshots: Arc<Snapshots>,
    cache: PageCache,
    pool: Arc<Pool>,
    counters: Mutex<Counters>,
    /// Notes get their sequence and their place one at a time.
    pub(super) note_order: Mutex<()>,
}

impl Store {
    /// Opens the store: labels, index, then what lies behind the index's marks; torn tails are set aside.
    ///
    /// # Errors
    /// The device or the state folder cannot be used. Damage in volumes is reported, not an error.
    pub fn open(device: Arc<dyn Device>, config: &StoreConfig) -> Result<Arc<Self>, StoreError> {
        let state = |source| StoreError::State {
            path: config.state.clone(),
            source,
        };
        std::fs::create_dir_all(&config.state).map_err(state)?;
        let volumes = VolumeSet::open(
            device,
            Making {
                storage: config.storage,
                max_bytes: config.max_volume_bytes,
            },
        )?;
        let (snapshots, log_is_whole) =
            Snapshots::open(&config.state.join("snapshots.log")).map_err(state)?;
        let snapshots = Arc::new(snapshots);
        let log = snapshots.clone();
        let index = SortedIndex::open(&config.state.join("index"), Box::new(move || log.sync()))?;
        let (counters, counters_are_known) = Counters::open(&config.state);
        if !log_is_whole || !counters_are_known {
            index.clear()?;
        }
        volumes.reserve_numbers(counters.next_volume);
        let store = Arc::new(Self {
            volumes,
            index,
            damaged: Damaged::open(&config.state.join("damaged")),
            snapshots,
            cache: PageCache::default(),
            pool: Pool::new(),
            counters: Mutex::new(counters),
            note_order: Mutex::new(()),
        });
        store.recover()?;
        Ok(store)
    }

    /// The volumes.
    #[must_use]
    pub fn volumes(&self) -> &VolumeSet {
        &self.volumes
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &SortedIndex {
        &self.index
    }

    /// Ids that were found damaged and not stored anew since.
    #[must_use]
    pub fn damaged_ids(&self) -> &Damaged {
        &self.damaged
    }

    /// The snapshots.
    #[must_use]
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Threads that verify and look up.
    #[must_use]
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(super) fn page_cache(&self) -> &PageCache {
        &self.cache
    }

    /// A session number never used before.
    ///
    /// # Errors
    /// The counter cannot be made durable.
    pub fn new_session(&self) -> Result<SessionId, StoreError> {
        self.counters.lock().session(self.volumes.next_number())
    }

    /// Sessions up to this one have been used.
    pub(super) fn used_session(&self, session: u64) {
        let mut counters = self.counters.lock();
        counters.next_session = counters.next_session.max(session + 1);
    }

    /// Makes the index durable, so that the next start is short.
    ///
    /// # Errors
    /// The next start reads more.
    pub fn flush(&self) -> Result<(), StoreError> {
        Ok(self.index.flush()?)
    }
}

/// Numbers that are never used twice.
struct Counters {
    path: PathBuf,
    next_session: u64,
    reserved: u64,
    next_volume: u32,
}

impl Counters {
    fn open(state: &Path) -> (Self, bool) {
        let path = state.join("counters");
        let bytes = std::fs::read(&path).unwrap_or_default();
        let mut r = Reader::new(&bytes);
        let read = (|| {
            let (session, volume, crc) = (r.u64("session")?, r.u32("volume")?, r.u32("crc")?);
            Ok::<_, common::codec::DecodeError>((session, volume, crc))
        })();
        let known = read
            .ok()
            .filter(|(.., crc)| crc32fast::hash(&bytes[..12]) == *crc);
        let (session, volume, _) = known.unwrap_or((1, 1, 0));
        let counters = Self {
            path,
            next_session: session,
            reserved: session,
            next_volume: volume,
        };
        (counters, known.is_some())
    }

    fn session(&mut self, next_volume: u32) -> Result<SessionId, StoreError> {
        if self.next_session >= self.reserved {
            let reserved = self.next_session + SESSIONS_AHEAD;
            let mut bytes = reserved.to_le_bytes().to_vec();
            bytes.extend_from_slice(&next_volume.to_le_bytes());
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            common::durable::write_atomic(&self.path, &bytes, common::durable::SECRET).map_err(
                |source| StoreError::State {
                    path: self.path.clone(),
                    source,
                },
            )?;
            self.reserved = reserved;
        }
        let session = self.next_session;
        self.next_session += 1;
        Ok(SessionId(session))
    }
}
