//! Ids whose block was found damaged and that were not stored anew since. The index forgets them, too, but its removals
//! become durable late, and whoever opens a session on a base must know whether anything is lost at all.
//!
//! Invariants: an id leaves only when it was committed at another place; the file is durable before a reader is told of
//! the damage. Lost or unreadable, the file starts empty: the damage is found again by whoever reads it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use common::codec::{DecodeError, Reader};
use common::durable;
use common::ids::ChunkId;
use parking_lot::RwLock;

use crate::volume::Location;

const MAGIC: [u8; 8] = *b"HFDMGD01";
const ENTRY_BYTES: usize = 40;

/// Volume and unit of a damaged block.
type Place = (u32, u32);

/// See the module.
pub struct Damaged {
    path: PathBuf,
    ids: RwLock<HashMap<ChunkId, Place>>,
}

impl Damaged {
    /// Reads the file at `path`.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let ids = std::fs::read(path).ok().map(|bytes| {
            decode(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the list of damaged ids cannot be read: it starts anew");
                HashMap::new()
            })
        });
        Self {
            path: path.to_owned(),
            ids: RwLock::new(ids.unwrap_or_default()),
        }
    }

    /// Whether nothing is known to be damaged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.read().is_empty()
    }

    /// Whether the id lies damaged at this place.
    #[must_use]
    pub fn covers(&self, id: &ChunkId, place: Location) -> bool {
        self.ids
            .read()
            .get(id)
            .is_some_and(|at| *at == (place.volume, place.unit))
    }

    /// Adds ids that were found damaged.
    ///
    /// # Errors
    /// They are known until the daemon ends, but not written.
    pub fn add(&self, found: &[(ChunkId, Location)]) -> io::Result<()> {
        let mut ids = self.ids.write();
        let before = ids.len();
        ids.extend(
            found
                .iter()
                .map(|(id, place)| (*id, (place.volume, place.unit))),
        );
        match ids.len() == before {
            true => Ok(()),
            false => self.write(&ids),
        }
    }

    /// Takes out what was committed elsewhere.
    ///
    /// # Errors
    /// The file still lists them; they are taken out again when the daemon reads commits at its start, or stay listed at
    /// a place where the index does not look for them.
    pub fn stored(&self, batch: impl Iterator<Item = (ChunkId, Location)>) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut ids = self.ids.write();
        let before = ids.len();
        for (id, place) in batch {
            if ids
                .get(&id)
                .is_some_and(|at| *at != (place.volume, place.unit))
            {
                ids.remove(&id);
            }
        }
        match ids.len() == before {
            true => Ok(()),
            false => self.write(&ids),
        }
    }

    fn write(&self, ids: &HashMap<ChunkId, Place>) -> io::Result<()> {
        let mut out = Vec::with_capacity(MAGIC.len() + ids.len() * ENTRY_BYTES + 4);
        out.extend_from_slice(&MAGIC);
        for (id, (volume, unit)) in ids {
            out.extend_from_slice(&id.0);
            out.extend_from_slice(&volume.to_le_bytes());
            out.extend_from_slice(&unit.to_le_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        durable::write_atomic(&self.path, &out, durable::SECRET)
    }
}

fn decode(bytes: &[u8]) -> Result<HashMap<ChunkId, Place>, DecodeError> {
    let what = "list of damaged ids";
    let (body, crc) = bytes
        .split_last_chunk::<4>()
        .ok_or(DecodeError::Truncated { what })?;
    let entries = body.strip_prefix(&MAGIC);
    let entries = entries.ok_or(DecodeError::Magic { what })?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(DecodeError::Range { what });
    }
    let mut ids = HashMap::with_capacity(entries.len() / ENTRY_BYTES);
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        let mut r = Reader::new(entry);
        let id = ChunkId(r.array(what)?);
        ids.insert(id, (r.u32(what)?, r.u32(what)?));
    }
    Ok(ids)
}
