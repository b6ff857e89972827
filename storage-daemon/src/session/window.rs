//! One window of a restore: entries in walk order, then their content in media order.
//!
//! Bounds: 16 Ki entries, 64 Ki pieces of content, 256 MiB plain. A block wanted by many files is read and sent once per
//! window, exactly as it lies on its volume; the File Daemon checks every name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use common::ids::ChunkId;
use common::object::link::ChunkRef;
use common::protocol::frame::FrameType;
use common::protocol::restore::{
    AttributeValue, ChunkNames, Delivery, Item, Items, Lost, Placement, Window as WindowMessage,
};

use super::outbox::{Gone, Outbox};
use crate::store::Store;
use crate::store::lookup::LookupError;
use crate::volume::Location;

const MAX_ITEMS: usize = 16 << 10;
const MAX_PIECES: usize = 64 << 10;
const MAX_CONTENT_BYTES: u64 = 256 << 20;
/// Bytes of one frame of entries.
const ITEMS_FRAME: usize = 1 << 20;
/// Longest attribute value that fits its frame.
const MAX_ATTRIBUTE: usize = (2 << 20) - 64;

/// What is sent besides entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Content.
    Content,
    /// Nothing.
    Names,
    /// Names of chunks.
    Chunks,
}

struct Piece {
    chunk: ChunkRef,
    number: u64,
    offset: u64,
}

/// Sums over a restore.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Entries sent.
    pub entries: u64,
    /// Content bytes sent, plain.
    pub bytes: u64,
    /// Lost messages sent.
    pub lost: u64,
}

/// See the module.
pub struct Window {
    mode: Mode,
    items: Vec<Vec<u8>>,
    count: usize,
    attributes: Vec<(u64, u32, ChunkId)>,
    pieces: Vec<Piece>,
    content_bytes: u64,
    names: Vec<ChunkNames>,
    lost: BTreeMap<u64, String>,
    /// Sums so far.
    pub totals: Totals,
}

impl Window {
    /// An empty window.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            items: Vec::new(),
            count: 0,
            attributes: Vec::new(),
            pieces: Vec::new(),
            content_bytes: 0,
            names: Vec::new(),
            lost: BTreeMap::new(),
            totals: Totals::default(),
        }
    }

    /// Whether it should be sent before more is added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count >= MAX_ITEMS
            || self.pieces.len() >= MAX_PIECES
            || self.content_bytes >= MAX_CONTENT_BYTES
            || self.names.len() >= MAX_ITEMS
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.pieces.is_empty() && self.lost.is_empty() && self.names.is_empty()
    }

    /// Adds a step of the walk.
    pub fn item(&mut self, item: Item) {
        if matches!(item, Item::Entry { .. }) {
            self.totals.entries += 1;
        }
        self.count += 1;
        let bytes = Items(vec![item]).encode();
        match self.items.last_mut() {
            Some(frame) if frame.len() + bytes.len() <= ITEMS_FRAME => {
                frame.extend_from_slice(&bytes)
            }
            _ => self.items.push(bytes),
        }
    }

    /// Adds an attribute value that is stored as a chunk.
    pub fn attribute(&mut self, number: u64, tag: u32, value: ChunkId) {
        self.attributes.push((number, tag, value));
    }

    /// Adds a piece of an entry's content.
    pub fn piece(&mut self, chunk: ChunkRef, number: u64, offset: u64) {
        match self.mode {
            Mode::Content => {
                self.content_bytes += u64::from(chunk.len);
                self.pieces.push(Piece {
                    chunk,
                    number,
                    offset,
                });
            }
            Mode::Names => {}
            Mode::Chunks => match self.names.last_mut() {
                Some(last) if last.number == number && last.chunks.len() < 4096 => {
                    last.chunks.push(chunk)
                }
                _ => self.names.push(ChunkNames {
                    number,
                    offset,
                    chunks: vec![chunk],
                }),
            },
        }
    }

    /// Notes that something of an entry cannot be delivered; told once per window.
    pub fn lose(&mut self, number: u64, reason: String) {
        self.lost.entry(number).or_insert(reason);
    }

    /// Sends everything as window `number`, and is empty again.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, number: u64, store: &Store, outbox: &Outbox) -> Result<(), Gone> {
        for frame in std::mem::take(&mut self.items) {
            outbox.send(FrameType::Items, frame, Bytes::new())?;
        }
        self.count = 0;
        for (entry, tag, id) in std::mem::take(&mut self.attributes) {
            match store.content(&id) {
                Ok(value) if value.len() <= MAX_ATTRIBUTE => {
                    let message = AttributeValue {
                        number: entry,
                        tag,
                        value: value.to_vec(),
                    };
                    outbox.send(FrameType::AttributeValue, message.encode(), Bytes::new())?;
                }
                Ok(_) => self.lose(entry, format!("attribute {tag} is too long")),
                Err(error) => self.lose(entry, format!("attribute {tag}: {}", reason(&error))),
            }
        }
        for names in std::mem::take(&mut self.names) {
            outbox.send(FrameType::ChunkNames, names.encode(), Bytes::new())?;
        }
        self.deliver(store, outbox)?;
        for (number, reason) in std::mem::take(&mut self.lost) {
            self.totals.lost += 1;
            outbox.message(FrameType::Lost, &Lost { number, reason })?;
        }
        outbox.message(FrameType::WindowEnd, &WindowMessage { number })
    }

    /// Content in media order: by volume and offset, each block read once.
    fn deliver(&mut self, store: &Store, outbox: &Outbox) -> Result<(), Gone> {
        let pieces = std::mem::take(&mut self.pieces);
        self.content_bytes = 0;
        let mut places: HashMap<ChunkId, Option<Location>> = HashMap::new();
        let mut plan: BTreeMap<(u32, u32), Vec<(Location, &Piece)>> = BTreeMap::new();
        for piece in &pieces {
            let id = piece.chunk.id;
            let place = match places.get(&id) {
                Some(place) => *place,
                None => {
                    let place = store.locate(&id).unwrap_or_else(|error| {
                        tracing::error!(%error, "the index failed during a restore");
                        None
                    });
                    places.insert(id, place);
                    place
                }
            };
            match place {
                Some(place) => plan
                    .entry((place.volume, place.unit))
                    .or_default()
                    .push((place, piece)),
                None => self.lose(piece.number, reason(&LookupError::Absent(id))),
            }
        }
        plan.values()
            .try_for_each(|wanted| self.deliver_block(wanted, store, outbox))
    }

    fn deliver_block(
        &mut self,
        wanted: &[(Location, &Piece)],
        store: &Store,
        outbox: &Outbox,
    ) -> Result<(), Gone> {
        let Some((location, _)) = wanted.first() else {
            return Ok(());
        };
        let ids: BTreeSet<ChunkId> = wanted.iter().map(|(_, p)| p.chunk.id).collect();
        let ids: Vec<ChunkId> = ids.into_iter().collect();
        let (segment, wanted) = match store.read_block(*location, &ids) {
            Ok(block) => (block.segment, wanted.to_vec()),
            Err(error) => {
                let salvaged = store.salvage(*location);
                let is_good =
                    |place: Location| salvaged.as_ref().is_some_and(|s| s.is_good(place.slot));
                let (good, lost): (Vec<_>, Vec<_>) =
                    wanted.iter().partition(|(place, _)| is_good(*place));
                let text = reason(&error);
                lost.iter()
                    .for_each(|(_, piece)| self.lose(piece.number, text.clone()));
                match salvaged {
                    Some(salvaged) => (salvaged.segment, good),
                    None => return Ok(()),
                }
            }
        };
        let mut placements = Vec::with_capacity(wanted.len());
        for (place, piece) in &wanted {
            let slot = segment.slots.get(usize::from(place.slot));
            if slot.is_some_and(|s| s.id == piece.chunk.id && s.len == piece.chunk.len) {
                let (slot, number, offset) = (place.slot.into(), piece.number, piece.offset);
                placements.push(Placement {
                    slot,
                    number,
                    offset,
                });
                self.totals.bytes += u64::from(piece.chunk.len);
            } else {
                let text = format!("chunk {} is not what its file says", piece.chunk.id);
                self.lose(piece.number, text);
            }
        }
        if placements.is_empty() {
            return Ok(());
        }
        let delivery = Delivery {
            segment,
            placements,
        };
        let head = delivery.encode_head();
        outbox.send(FrameType::Delivery, head, delivery.segment.payload)
    }
}

/// Why something is lost, in words.
#[must_use]
pub fn reason(error: &LookupError) -> String {
    super::backup::chain(error)
}
