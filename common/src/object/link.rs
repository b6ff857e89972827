//! Links: what a page names. They are the clear part of a page, readable without any key, and all a walk needs.
//!
//! Encoding of one link: varint ordinal delta to the previous link, kind byte, payload. Ordinals never fall.

use crate::codec::{DecodeError, Reader, put_varint};
use crate::ids::{ChunkId, PageId};

/// A chunk as a page names it: id and plain length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkRef {
    /// Its name.
    pub id: ChunkId,
    /// Plain length, 1..=[`crate::object::segment::MAX_CHUNK_BYTES`].
    pub len: u32,
}

/// A chunk-list page tree as its holder names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListRef {
    /// Top page of the list.
    pub page: PageId,
    /// Sum of the chunks' plain lengths.
    pub bytes: u64,
    /// Number of chunks below.
    pub chunks: u64,
}

/// One thing a page names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// The top page of a child directory.
    Directory(PageId),
    /// A piece of an entry's content, in order.
    Chunk(ChunkRef),
    /// An entry's whole content, as a list of its own.
    List(ListRef),
    /// A large attribute's value, stored as a chunk.
    Attribute {
        /// Tag of the attribute ([`crate::object::attribute`]).
        tag: u32,
        /// Where its value lies.
        value: ChunkRef,
    },
    /// The next page down in an index page of a directory.
    Index(PageId),
}

const DIRECTORY: u8 = 1;
const CHUNK: u8 = 2;
const LIST: u8 = 3;
const ATTRIBUTE: u8 = 4;
const INDEX: u8 = 5;

impl Link {
    /// The id this link needs to be present in the store.
    #[must_use]
    pub fn target(&self) -> ChunkId {
        match self {
            Self::Directory(page) | Self::Index(page) => (*page).into(),
            Self::List(list) => list.page.into(),
            Self::Chunk(chunk) => chunk.id,
            Self::Attribute { value, .. } => value.id,
        }
    }

    /// The page this link leads to, when it leads to one.
    #[must_use]
    pub fn page(&self) -> Option<PageId> {
        match self {
            Self::Directory(page) | Self::Index(page) => Some(*page),
            Self::List(list) => Some(list.page),
            Self::Chunk(_) | Self::Attribute { .. } => None,
        }
    }

    pub(crate) fn encode(&self, ordinal_delta: u64, out: &mut Vec<u8>) {
        put_varint(out, ordinal_delta);
        match self {
            Self::Directory(page) => put_id(out, DIRECTORY, &page.0),
            Self::Index(page) => put_id(out, INDEX, &page.0),
            Self::Chunk(chunk) => {
                put_id(out, CHUNK, &chunk.id.0);
                put_varint(out, u64::from(chunk.len));
            }
            Self::List(list) => {
                put_id(out, LIST, &list.page.0);
                put_varint(out, list.bytes);
                put_varint(out, list.chunks);
            }
            Self::Attribute { tag, value } => {
                put_id(out, ATTRIBUTE, &value.id.0);
                put_varint(out, u64::from(value.len));
                put_varint(out, u64::from(*tag));
            }
        }
    }

    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<(u64, Self), DecodeError> {
        let delta = r.varint("link ordinal")?;
        let kind = r.u8("link kind")?;
        let id = r.array::<32>("link target")?;
        let link = match kind {
            DIRECTORY => Self::Directory(PageId(id)),
            INDEX => Self::Index(PageId(id)),
            CHUNK => Self::Chunk(ChunkRef {
                id: ChunkId(id),
                len: r.varint32("chunk length")?,
            }),
            LIST => Self::List(ListRef {
                page: PageId(id),
                bytes: r.varint("list bytes")?,
                chunks: r.varint("list chunks")?,
            }),
            ATTRIBUTE => {
                let len = r.varint32("attribute length")?;
                Self::Attribute {
                    value: ChunkRef {
                        id: ChunkId(id),
                        len,
                    },
                    tag: r.varint32("attribute tag")?,
                }
            }
            _ => return Err(DecodeError::Range { what: "link kind" }),
        };
        Ok((delta, link))
    }
}

fn put_id(out: &mut Vec<u8>, kind: u8, id: &[u8; 32]) {
    out.push(kind);
    out.extend_from_slice(id);
}
