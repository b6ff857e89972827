//! Page: about 16 KiB of sorted entries of one directory, or of a directory's index, or of a chunk list.
//!
//! ```text
//! magic "HFPG" | version u8 | kind u8 | flags u8 | 0 | items u32 | clear_bytes u32 | sealable_bytes u32 | clear | sealable
//! ```
//! Little-endian. The clear part holds the links by item ordinal, the sealable part names and attributes. A page's name
//! is the BLAKE3 of all its bytes. Invariants: names strictly ascending by bytes; equal content gives equal bytes;
//! decoding never trusts a count, a length or an order.

use super::entry::{Entry, check_name};
use super::link::Link;
use crate::codec::{DecodeError, Reader, put_prefixed};
use crate::ids::PageId;

const MAGIC: [u8; 4] = *b"HFPG";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 20;

/// Longest page accepted from anyone.
pub const MAX_PAGE_BYTES: usize = 1 << 20;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PageKind {
    /// Entries of a directory.
    Leaf = 1,
    /// First names and pages of a directory's next level down.
    Index = 2,
    /// Chunks of a long file: links only.
    List = 3,
    /// List pages of a very long file: links only.
    ListIndex = 4,
}

/// One line of a directory index page: everything from `first_name` on is below `page`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// Smallest name below.
    pub first_name: Vec<u8>,
    /// The page.
    pub page: PageId,
}

/// A decoded page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Entries of a directory, ascending by name.
    Leaf(Vec<Entry>),
    /// Index of a directory, ascending by first name.
    Index(Vec<IndexEntry>),
    /// Links of a chunk list: `Chunk` in a list page, `List` in a list index page.
    List(Vec<Link>),
}

/// The fixed part and the two parts' bytes.
struct Parts<'a> {
    kind: PageKind,
    items: u32,
    clear: &'a [u8],
    sealable: &'a [u8],
}

impl Page {
    /// Decodes all of a page.
    ///
    /// # Errors
    /// When the bytes are not exactly one valid page.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let parts = split(bytes)?;
        match parts.kind {
            PageKind::Leaf => decode_leaf(&parts).map(Self::Leaf),
            PageKind::Index => decode_index(&parts).map(Self::Index),
            PageKind::List | PageKind::ListIndex => decode_list(&parts).map(Self::List),
        }
    }
}

/// The links of a page, in order, without decoding names and attributes: what a walk and a Storage Daemon need.
///
/// # Errors
/// When the clear part is not valid.
pub fn links(bytes: &[u8]) -> Result<Vec<Link>, DecodeError> {
    let parts = split(bytes)?;
    Ok(ordinal_links(&parts)?
        .into_iter()
        .map(|(_, link)| link)
        .collect())
}

/// Encodes a leaf; the caller sorted the entries.
#[must_use]
pub fn encode_leaf(entries: &[Entry]) -> Vec<u8> {
    let (mut clear, mut sealable) = (Vec::new(), Vec::with_capacity(entries.len() * 128));
    let mut last = 0u64;
    for (ordinal, entry) in (0u64..).zip(entries) {
        for link in entry.links() {
            link.encode(ordinal - last, &mut clear);
            last = ordinal;
        }
        entry.encode(&mut sealable);
    }
    join(PageKind::Leaf, entries.len(), &clear, &sealable)
}

/// Encodes an index page; the caller sorted the lines.
#[must_use]
pub fn encode_index(lines: &[IndexEntry]) -> Vec<u8> {
    let (mut clear, mut sealable) = (Vec::with_capacity(lines.len() * 34), Vec::new());
    for (n, line) in lines.iter().enumerate() {
        Link::Index(line.page).encode(u64::from(n > 0), &mut clear);
        put_prefixed(&mut sealable, &line.first_name);
    }
    join(PageKind::Index, lines.len(), &clear, &sealable)
}

/// Encodes a chunk-list page: all links `Chunk`, or all `List`.
#[must_use]
pub fn encode_list(kind: PageKind, links: &[Link]) -> Vec<u8> {
    let mut clear = Vec::with_capacity(links.len() * 37);
    for (n, link) in links.iter().enumerate() {
        link.encode(u64::from(n > 0), &mut clear);
    }
    join(kind, links.len(), &clear, &[])
}

fn join(kind: PageKind, items: usize, clear: &[u8], sealable: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + clear.len() + sealable.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, kind as u8, 0, 0]);
    for n in [items, clear.len(), sealable.len()] {
        let n = u32::try_from(n).expect("a page builder stops far below 4 GiB");
        out.extend_from_slice(&n.to_le_bytes());
    }
    out.extend_from_slice(clear);
    out.extend_from_slice(sealable);
    out
}

fn split(bytes: &[u8]) -> Result<Parts<'_>, DecodeError> {
    if bytes.len() > MAX_PAGE_BYTES {
        return Err(DecodeError::Range {
            what: "page length",
        });
    }
    let mut r = Reader::new(bytes);
    if r.array::<4>("page magic")? != MAGIC {
        return Err(DecodeError::Magic { what: "page" });
    }
    let [version, kind, flags, zero] = r.array("page header")?;
    if version != VERSION {
        return Err(DecodeError::Version {
            what: "page",
            version: version.into(),
        });
    }
    let kind = match kind {
        1 => PageKind::Leaf,
        2 => PageKind::Index,
        3 => PageKind::List,
        4 => PageKind::ListIndex,
        _ => return Err(DecodeError::Range { what: "page kind" }),
    };
    if flags != 0 || zero != 0 {
        return Err(DecodeError::Range { what: "page flags" });
    }
    let (items, clear, sealable) = (
        r.u32("page items")?,
        r.u32("clear length")?,
        r.u32("sealable length")?,
    );
    let clear = r.bytes(clear as usize, "clear part")?;
    let sealable = r.bytes(sealable as usize, "sealable part")?;
    r.finish("page")?;
    Ok(Parts {
        kind,
        items,
        clear,
        sealable,
    })
}

fn ordinal_links(parts: &Parts<'_>) -> Result<Vec<(u32, Link)>, DecodeError> {
    let mut r = Reader::new(parts.clear);
    let mut ordinal = 0u32;
    let mut out = Vec::new();
    while !r.is_empty() {
        let (delta, link) = Link::decode(&mut r)?;
        let range = DecodeError::Range {
            what: "link ordinal",
        };
        ordinal = u32::try_from(delta)
            .ok()
            .and_then(|d| ordinal.checked_add(d))
            .ok_or(range)?;
        if ordinal >= parts.items {
            return Err(range);
        }
        out.push((ordinal, link));
    }
    Ok(out)
}

fn decode_leaf(parts: &Parts<'_>) -> Result<Vec<Entry>, DecodeError> {
    let mut r = Reader::new(parts.sealable);
    let mut out: Vec<Entry> = Vec::new();
    for _ in 0..parts.items {
        let entry = Entry::decode(&mut r)?;
        if out.last().is_some_and(|last| last.name >= entry.name) {
            return Err(DecodeError::Order {
                what: "names in a page",
            });
        }
        out.push(entry);
    }
    r.finish("sealable part")?;
    for (ordinal, link) in ordinal_links(parts)? {
        out[ordinal as usize].add_link(link)?;
    }
    Ok(out)
}

fn decode_index(parts: &Parts<'_>) -> Result<Vec<IndexEntry>, DecodeError> {
    let links = ordinal_links(parts)?;
    if links.len() != parts.items as usize {
        return Err(DecodeError::Range {
            what: "index links",
        });
    }
    let mut r = Reader::new(parts.sealable);
    let mut out: Vec<IndexEntry> = Vec::new();
    for (n, (ordinal, link)) in links.into_iter().enumerate() {
        let (Link::Index(page), true) = (link, ordinal as usize == n) else {
            return Err(DecodeError::Range {
                what: "index links",
            });
        };
        let first_name = r.prefixed(255, "index name")?;
        check_name(first_name)?;
        if out
            .last()
            .is_some_and(|last| last.first_name.as_slice() >= first_name)
        {
            return Err(DecodeError::Order {
                what: "names in an index page",
            });
        }
        out.push(IndexEntry {
            first_name: first_name.to_vec(),
            page,
        });
    }
    r.finish("sealable part")?;
    Ok(out)
}

fn decode_list(parts: &Parts<'_>) -> Result<Vec<Link>, DecodeError> {
    let links = ordinal_links(parts)?;
    let fits = |link: &Link| match parts.kind {
        PageKind::List => matches!(link, Link::Chunk(_)),
        _ => matches!(link, Link::List(_)),
    };
    let in_order = links
        .iter()
        .enumerate()
        .all(|(n, (ordinal, _))| *ordinal as usize == n);
    if !parts.sealable.is_empty()
        || links.len() != parts.items as usize
        || !in_order
        || !links.iter().all(|(_, l)| fits(l))
    {
        return Err(DecodeError::Range { what: "chunk list" });
    }
    Ok(links.into_iter().map(|(_, link)| link).collect())
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
