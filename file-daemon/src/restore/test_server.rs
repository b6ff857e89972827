//! A small server for tests: turns a tree in memory, or real files, into a restore stream as a Storage Daemon would,
//! with content in an order of its own, many files per segment and large files over many segments.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use bytes::Bytes;
use common::ids::ChunkId;
use common::object::entry::{Content, Entry, Kind};
use common::object::link::ChunkRef;
use common::object::list::INLINE_CHUNKS;
use common::object::segment::{Codec, SEGMENT_BYTES, Segment, Slot};
use common::protocol::restore::{
    AttributeValue, ChunkNames, Delivery, Item, Items, Lost, Placement, RestoreEnd, Window,
};
use rustix::fs::{Dir, Mode, OFlags, openat};

use super::source::{Message, RestoreSource, StreamError};
use crate::attributes::{Capturer, Place, look};

/// One entry with its content and what is below it.
#[derive(Debug, Clone)]
pub struct Node {
    pub entry: Entry,
    pub content: Vec<u8>,
    pub children: Vec<Node>,
    pub implied: bool,
}

impl Node {
    pub fn file(name: &str, content: &[u8]) -> Self {
        let mut node = Self::of(name, Kind::File);
        node.entry.stat.size = content.len() as u64;
        node.entry.stat.mode = 0o644;
        node.content = content.to_vec();
        node
    }

    pub fn dir(name: &str, children: Vec<Self>) -> Self {
        let mut node = Self::of(name, Kind::Directory);
        node.entry.stat.mode = 0o755;
        node.children = children;
        node
    }

    pub fn implied(name: &str, children: Vec<Self>) -> Self {
        Self {
            implied: true,
            ..Self::dir(name, children)
        }
    }

    pub fn link(name: &str, target: &str) -> Self {
        let mut node = Self::of(name, Kind::Symlink);
        node.entry.target = Some(target.into());
        node.entry.stat.size = target.len() as u64;
        node.entry.stat.mode = 0o777;
        node
    }

    pub fn of(name: &str, kind: Kind) -> Self {
        let mut entry = Entry::new(name.into(), kind, Default::default());
        entry.stat.uid = rustix::process::geteuid().as_raw();
        entry.stat.gid = rustix::process::getegid().as_raw();
        entry.stat.nlink = 1;
        entry.stat.mtime.secs = 1_600_000_000;
        entry.stat.atime.secs = 1_600_000_001;
        entry.stat.mode = 0o640;
        Self {
            entry,
            content: Vec::new(),
            children: Vec::new(),
            implied: false,
        }
    }
}

/// Reads a real tree.
pub fn read_tree(path: &Path) -> Vec<Node> {
    let root = std::fs::File::open(path).unwrap();
    let mut capturer = Capturer::default();
    read_directory(&OwnedFd::from(root), &mut capturer)
}

fn read_directory(dir: &OwnedFd, capturer: &mut Capturer) -> Vec<Node> {
    let mut nodes = Vec::new();
    for found in Dir::read_from(dir).unwrap() {
        let name = found.unwrap().file_name().to_bytes().to_vec();
        if name == b"." || name == b".." {
            continue;
        }
        let looked = look(dir, &name).unwrap();
        let mut node = Node::of("x", looked.kind);
        node.entry = looked.entry(name.clone());
        let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NOATIME;
        if matches!(looked.kind, Kind::File | Kind::Directory) {
            let handle = openat(dir, name.as_slice(), how, Mode::empty()).unwrap();
            assert!(
                capturer
                    .fill(&mut node.entry, &looked, Place::Open(handle.as_fd()))
                    .is_empty()
            );
            if looked.kind == Kind::Directory {
                node.children = read_directory(&handle, capturer);
            } else {
                node.content = read_content(&node.entry, handle);
            }
        } else {
            assert!(
                capturer
                    .fill(&mut node.entry, &looked, Place::Named(dir.as_fd(), &name))
                    .is_empty()
            );
        }
        nodes.push(node);
    }
    nodes.sort_by(|a, b| a.entry.name.cmp(&b.entry.name));
    nodes
}

fn read_content(entry: &Entry, handle: OwnedFd) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::from(handle);
    let whole = [common::object::attribute::Extent {
        offset: 0,
        len: entry.stat.size,
    }];
    let mut content = Vec::new();
    for e in entry.extents.as_deref().unwrap_or(&whole) {
        let at = content.len();
        content.resize(at + e.len as usize, 0);
        file.read_exact_at(&mut content[at..], e.offset).unwrap();
    }
    content
}

/// How the stream is made.
#[derive(Debug, Clone)]
pub struct Server {
    /// Entries per window.
    pub window_entries: usize,
    /// Plain bytes per chunk.
    pub chunk_bytes: usize,
    /// Windows the content of one large file is spread over come by this many segments each.
    pub segments_per_window: usize,
    /// Names whose content is damaged in storage.
    pub lost: Vec<Vec<u8>>,
    /// Names whose content arrives with other bytes than its name says.
    pub corrupt: Vec<Vec<u8>>,
    /// Content is left out (dry run).
    pub names_only: bool,
    /// Chunk names instead of content (compare).
    pub chunk_names: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            window_entries: 100,
            chunk_bytes: 64 << 10,
            segments_per_window: 1000,
            lost: vec![],
            corrupt: vec![],
            names_only: false,
            chunk_names: false,
        }
    }
}

#[derive(Default)]
struct Building {
    messages: VecDeque<Message>,
    items: Vec<Item>,
    values: Vec<AttributeValue>,
    names: Vec<ChunkNames>,
    lost: Vec<Lost>,
    segments: Vec<(Vec<Slot>, Vec<u8>, Vec<Placement>)>,
    number: u64,
    window: u64,
    told: u64,
}

impl Server {
    /// The whole stream.
    pub fn stream(&self, nodes: &[Node]) -> Stream {
        let mut b = Building::default();
        for node in nodes {
            self.node(&mut b, node, 0);
        }
        self.end_window(&mut b);
        b.messages.push_back(Message::End(RestoreEnd {
            entries: b.number,
            bytes: 0,
            lost: b.told,
        }));
        Stream {
            messages: b.messages,
            done: Vec::new(),
        }
    }

    fn node(&self, b: &mut Building, node: &Node, parent: u64) {
        // Recursion is fine for what tests build, and a depth of thousands gets a loop of its own there.
        b.number += 1;
        let number = b.number;
        let mut entry = node.entry.clone();
        self.content(b, node, &mut entry, number);
        for (tag, value) in entry.oversized() {
            let id = ChunkId::of(&value);
            entry.moved_to_chunk(
                tag,
                ChunkRef {
                    id,
                    len: value.len() as u32,
                },
            );
            b.values.push(AttributeValue { number, tag, value });
        }
        b.items.push(Item::Entry {
            number,
            parent,
            entry: Box::new(entry),
            implied: node.implied,
        });
        if b.items.len() >= self.window_entries {
            self.end_window(b);
        }
        if node.entry.kind == Kind::Directory {
            for child in &node.children {
                self.node(b, child, number);
            }
            b.items.push(Item::DirectoryEnd { number });
        }
    }

    fn content(&self, b: &mut Building, node: &Node, entry: &mut Entry, number: u64) {
        let (mut chunks, mut offset) = (Vec::new(), 0u64);
        for part in node.content.chunks(self.chunk_bytes) {
            let chunk = ChunkRef {
                id: ChunkId::of(part),
                len: part.len() as u32,
            };
            chunks.push(chunk);
            let damaged = self.lost.contains(&node.entry.name) && offset == 0;
            if !damaged && !self.names_only && !self.chunk_names {
                self.place(
                    b,
                    chunk,
                    part,
                    (number, offset, self.corrupt.contains(&node.entry.name)),
                );
            }
            offset += part.len() as u64;
        }
        if self.lost.contains(&node.entry.name) {
            b.lost.push(Lost {
                number,
                reason: "volume v1 at 4096".into(),
            });
        }
        if self.chunk_names && !chunks.is_empty() {
            b.names.push(ChunkNames {
                number,
                offset: 0,
                chunks: chunks.clone(),
            });
        }
        if chunks.len() > INLINE_CHUNKS {
            let page = common::ids::PageId::of(b"list");
            let (bytes, chunks) = (offset, chunks.len() as u64);
            entry.content = Content::List(common::object::link::ListRef {
                page,
                bytes,
                chunks,
            });
        } else if !chunks.is_empty() {
            entry.content = Content::Chunks(chunks);
        }
    }

    fn place(&self, b: &mut Building, chunk: ChunkRef, part: &[u8], to: (u64, u64, bool)) {
        let (number, offset, corrupt) = to;
        if b.segments
            .last()
            .is_none_or(|(_, plain, _)| plain.len() >= SEGMENT_BYTES)
        {
            b.segments.push(Default::default());
        }
        let (slots, plain, placements) = b.segments.last_mut().unwrap();
        let known = slots
            .iter()
            .rev()
            .take(50)
            .position(|s| s.id == chunk.id)
            .map(|n| slots.len() - 1 - n);
        let slot = known.unwrap_or(slots.len());
        if known.is_none() {
            slots.push(Slot {
                id: chunk.id,
                len: chunk.len,
            });
            plain.extend_from_slice(part);
            if corrupt {
                *plain.last_mut().unwrap() ^= 1;
            }
        }
        placements.push(Placement {
            slot: slot as u32,
            number,
            offset,
        });
    }

    fn end_window(&self, b: &mut Building) {
        let items = Items::decode(&Items(std::mem::take(&mut b.items)).encode()).unwrap();
        b.messages.push_back(Message::Items(items));
        b.messages
            .extend(b.values.drain(..).map(Message::AttributeValue));
        b.messages
            .extend(b.names.drain(..).map(Message::ChunkNames));
        b.told += b.lost.len() as u64;
        b.messages.extend(b.lost.drain(..).map(Message::Lost));
        // The order on a medium is not that of the walk.
        let segments: Vec<_> = std::mem::take(&mut b.segments).into_iter().rev().collect();
        for (n, (slots, plain, placements)) in segments.into_iter().enumerate() {
            if n > 0 && n % self.segments_per_window == 0 {
                b.window += 1;
                b.messages
                    .push_back(Message::WindowEnd(Window { number: b.window }));
            }
            let payload = Bytes::from(zstd::bulk::compress(&plain, 1).unwrap());
            let segment = Segment {
                codec: Codec::Zstd,
                slots,
                payload,
            };
            b.messages.push_back(Message::Delivery(Delivery {
                segment,
                placements,
            }));
        }
        b.window += 1;
        b.messages
            .push_back(Message::WindowEnd(Window { number: b.window }));
    }
}

/// A stream in memory that records which windows were answered.
pub struct Stream {
    pub messages: VecDeque<Message>,
    pub done: Vec<u64>,
}

impl Stream {
    /// Messages made by hand, with an end that counts them.
    pub fn of(mut messages: VecDeque<Message>) -> Self {
        let entries = |m: &Message| match m {
            Message::Items(items) => items
                .0
                .iter()
                .filter(|i| matches!(i, Item::Entry { .. }))
                .count(),
            _ => 0,
        };
        let entries = messages.iter().map(entries).sum::<usize>() as u64;
        messages.push_back(Message::End(RestoreEnd {
            entries,
            bytes: 0,
            lost: 0,
        }));
        Self {
            messages,
            done: Vec::new(),
        }
    }
}

impl RestoreSource for Stream {
    fn next(&mut self) -> Result<Message, StreamError> {
        let gone = || StreamError::Connection(std::io::ErrorKind::UnexpectedEof.into());
        self.messages.pop_front().ok_or_else(gone)
    }

    fn window_done(&mut self, number: u64) -> Result<(), StreamError> {
        self.done.push(number);
        Ok(())
    }
}
