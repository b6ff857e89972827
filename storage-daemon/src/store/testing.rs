//! Stores in scratch folders and content to put into them, for the tests of this crate.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use common::ids::{ChunkId, PageId, SessionId};
use common::object::attribute::Stat;
use common::object::entry::{Content, Entry, Kind as EntryKind};
use common::object::link::ChunkRef;
use common::object::page::encode_leaf;
use common::object::segment::{Codec, Segment, Slot};
use uuid::Uuid;

use super::ingest::SessionWriter;
use super::verify::verify;
use super::{Store, StoreConfig};
use crate::device::Device;
use crate::device::disk::DiskDevice;
use crate::format::block::Kind;

/// The Storage Daemon of all tests.
pub const STORAGE: Uuid = Uuid::from_u128(0x5707);

/// Opens the store of a scratch folder.
pub fn open(folder: &Path) -> Arc<Store> {
    open_on(
        folder,
        Arc::new(DiskDevice::open(&folder.join("volumes")).unwrap()),
        2 << 30,
    )
}

/// Opens a store on a device with volumes of this length.
pub fn open_on(folder: &Path, device: Arc<dyn Device>, max_volume_bytes: u64) -> Arc<Store> {
    let state = folder.join("state");
    Store::open(
        device,
        &StoreConfig {
            state,
            storage: STORAGE,
            max_volume_bytes,
        },
    )
    .unwrap()
}

/// A writer of a new session.
pub fn writer(store: &Arc<Store>) -> SessionWriter {
    let session: SessionId = store.new_session().unwrap();
    SessionWriter::new(store.clone(), session, "main")
}

/// A segment of these pieces, compressed.
pub fn segment(pieces: &[&[u8]]) -> Segment {
    let slots = pieces
        .iter()
        .map(|p| Slot {
            id: ChunkId::of(p),
            len: p.len() as u32,
        })
        .collect();
    let payload = zstd::bulk::compress(&pieces.concat(), 1).unwrap();
    Segment {
        codec: Codec::Zstd,
        slots,
        payload: Bytes::from(payload),
    }
}

/// Appends verified content.
pub fn append(
    writer: &mut SessionWriter,
    kind: Kind,
    pieces: &[&[u8]],
) -> Result<(), super::StoreError> {
    let verified = verify(kind, segment(pieces), &mut Vec::new()).unwrap();
    writer.append(&verified)
}

/// Content of `len` bytes that does not compress, different for each `seed`.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut out);
    out
}

/// A file entry with this content in one chunk.
pub fn file(name: &str, content: &[u8]) -> Entry {
    let mut entry = Entry::new(name.into(), EntryKind::File, Stat::default());
    entry.stat.size = content.len() as u64;
    if !content.is_empty() {
        let chunk = ChunkRef {
            id: ChunkId::of(content),
            len: content.len() as u32,
        };
        entry.content = Content::Chunks(vec![chunk]);
    }
    entry
}

/// A directory entry.
pub fn directory(name: &str, page: PageId) -> Entry {
    let mut entry = Entry::new(name.into(), EntryKind::Directory, Stat::default());
    entry.content = Content::Directory(page);
    entry
}

/// A page of these entries.
pub fn page(entries: &[Entry]) -> (PageId, Vec<u8>) {
    let bytes = encode_leaf(entries);
    (PageId::of(&bytes), bytes)
}
