//! Entry: one name in a directory, with everything needed to bring it back.
//!
//! Invariants: a name is 1..=255 bytes without `/` and NUL and is never `.` or `..`; equal entries encode to equal
//! bytes; attributes of an unknown tag are kept as they came.

use super::attribute::{
    Cut, Device, Extent, FileTime, LinkGroup, Stat, Xattr, decode_birth, decode_extents,
    decode_numbers, decode_xattrs, encode_birth, encode_extents, encode_numbers, encode_xattrs,
    tag,
};
use super::link::{ChunkRef, Link, ListRef};
use crate::codec::{DecodeError, Reader, put_prefixed, put_varint};
use crate::ids::PageId;

/// Longest inline attribute list of one entry, in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 64 << 10;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Regular file.
    File = 1,
    /// Directory.
    Directory = 2,
    /// Symbolic link.
    Symlink = 3,
    /// Named pipe.
    Fifo = 4,
    /// Socket.
    Socket = 5,
    /// Character device.
    CharDevice = 6,
    /// Block device.
    BlockDevice = 7,
}

impl Kind {
    /// From its stored byte.
    ///
    /// # Errors
    /// Unknown value.
    pub fn from_u8(byte: u8) -> Result<Self, DecodeError> {
        Ok(match byte {
            1 => Self::File,
            2 => Self::Directory,
            3 => Self::Symlink,
            4 => Self::Fifo,
            5 => Self::Socket,
            6 => Self::CharDevice,
            7 => Self::BlockDevice,
            _ => return Err(DecodeError::Range { what: "entry kind" }),
        })
    }

    /// The letter of `ls -l`.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::File => '-',
            Self::Directory => 'd',
            Self::Symlink => 'l',
            Self::Fifo => 'p',
            Self::Socket => 's',
            Self::CharDevice => 'c',
            Self::BlockDevice => 'b',
        }
    }
}

/// Where an entry's content is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Content {
    /// No content: empty file, symlink, special file.
    #[default]
    None,
    /// Few chunks, named in the page itself, in order (at most [`super::list::INLINE_CHUNKS`]).
    Chunks(Vec<ChunkRef>),
    /// Many chunks: a list of its own.
    List(ListRef),
    /// A directory: its top page.
    Directory(PageId),
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name as bytes.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// lstat.
    pub stat: Stat,
    /// Birth time where the file system has one.
    pub birth: Option<FileTime>,
    /// Owner's name on the client, empty when it has none.
    pub owner: String,
    /// Group's name on the client, empty when it has none.
    pub group: String,
    /// Target of a symlink.
    pub target: Option<Vec<u8>>,
    /// Numbers of a device node.
    pub device: Option<Device>,
    /// Inode flags (`FS_IOC_GETFLAGS`), only the bits that can be set again; 0 when none.
    pub flags: u32,
    /// Hard-link group when nlink > 1 (not for directories).
    pub link_group: Option<LinkGroup>,
    /// Extended attributes sorted by name; empty when they are in `attribute_chunks`.
    pub xattrs: Vec<Xattr>,
    /// Data extents when the file is sparse: content is their concatenation. `None` = content covers the whole file.
    pub extents: Option<Vec<Extent>>,
    /// Bits of [`super::attribute::marks`].
    pub marks: u64,
    /// How the content was cut, for files that were.
    pub cut: Option<Cut>,
    /// Attributes whose value is stored as a chunk, by ascending tag.
    pub attribute_chunks: Vec<(u32, ChunkRef)>,
    /// Attributes this version does not know, by ascending tag, carried unchanged.
    pub unknown: Vec<(u32, Vec<u8>)>,
    /// Content.
    pub content: Content,
}

impl Entry {
    /// An entry with a name, a kind and a stat; everything else absent.
    #[must_use]
    pub fn new(name: Vec<u8>, kind: Kind, stat: Stat) -> Self {
        Self {
            name,
            kind,
            stat,
            birth: None,
            owner: String::new(),
            group: String::new(),
            target: None,
            device: None,
            flags: 0,
            link_group: None,
            xattrs: Vec::new(),
            extents: None,
            marks: 0,
            cut: None,
            attribute_chunks: Vec::new(),
            unknown: Vec::new(),
            content: Content::None,
        }
    }

    /// Bytes the content takes as a stream: the extents' sum for sparse files, the size otherwise.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        match &self.content {
            Content::Chunks(chunks) => chunks.iter().map(|c| u64::from(c.len)).sum(),
            Content::List(list) => list.bytes,
            Content::None | Content::Directory(_) => 0,
        }
    }

    /// The links of this entry, in stored order: attributes first, then content.
    pub fn links(&self) -> impl Iterator<Item = Link> + '_ {
        let attributes = self
            .attribute_chunks
            .iter()
            .map(|(tag, value)| Link::Attribute {
                tag: *tag,
                value: *value,
            });
        let (chunks, one) = match &self.content {
            Content::None => (&[][..], None),
            Content::Chunks(chunks) => (chunks.as_slice(), None),
            Content::List(list) => (&[][..], Some(Link::List(*list))),
            Content::Directory(page) => (&[][..], Some(Link::Directory(*page))),
        };
        attributes
            .chain(chunks.iter().map(|c| Link::Chunk(*c)))
            .chain(one)
    }

    /// Values too long for a page, to be stored as chunks by whoever builds the entry, by tag.
    /// After storing them call [`Entry::moved_to_chunk`].
    #[must_use]
    pub fn oversized(&self) -> Vec<(u32, Vec<u8>)> {
        self.attributes()
            .into_iter()
            .filter(|(_, v)| v.len() > super::attribute::INLINE_BYTES)
            .collect()
    }

    /// Records that the value of `tag` is stored as `value` and drops it from the entry.
    pub fn moved_to_chunk(&mut self, tag: u32, value: ChunkRef) {
        match tag {
            tag::XATTRS => self.xattrs.clear(),
            tag::EXTENTS => self.extents = None,
            tag::TARGET => self.target = None,
            _ => self.unknown.retain(|(t, _)| *t != tag),
        }
        self.attribute_chunks.push((tag, value));
        self.attribute_chunks.sort_by_key(|(t, _)| *t);
    }

    /// Puts back a value that was stored as a chunk, for restore and comparison.
    ///
    /// # Errors
    /// When the bytes are not what the tag holds.
    pub fn inline_attribute(&mut self, tag: u32, value: &[u8]) -> Result<(), DecodeError> {
        self.set_attribute(tag, value)?;
        self.attribute_chunks.retain(|(t, _)| *t != tag);
        Ok(())
    }

    fn attributes(&self) -> Vec<(u32, Vec<u8>)> {
        let mut out = Vec::with_capacity(6);
        let mut stat = Vec::with_capacity(48);
        self.stat.encode(&mut stat);
        out.push((tag::STAT, stat));
        let mut add = |tag, present: bool, value: &dyn Fn() -> Vec<u8>| {
            if present {
                out.push((tag, value()));
            }
        };
        add(tag::BIRTH, self.birth.is_some(), &|| {
            encode_birth(self.birth.unwrap_or_default())
        });
        add(tag::OWNER, !self.owner.is_empty(), &|| {
            self.owner.clone().into_bytes()
        });
        add(tag::GROUP, !self.group.is_empty(), &|| {
            self.group.clone().into_bytes()
        });
        add(tag::TARGET, self.target.is_some(), &|| {
            self.target.clone().unwrap_or_default()
        });
        if let Some(d) = self.device {
            out.push((
                tag::DEVICE,
                encode_numbers(&[d.major.into(), d.minor.into()]),
            ));
        }
        if self.flags != 0 {
            out.push((tag::FLAGS, encode_numbers(&[self.flags.into()])));
        }
        if let Some(g) = self.link_group {
            out.push((tag::LINK_GROUP, encode_numbers(&[g.fs, g.ino])));
        }
        if !self.xattrs.is_empty() {
            out.push((tag::XATTRS, encode_xattrs(&self.xattrs)));
        }
        if let Some(extents) = &self.extents {
            out.push((tag::EXTENTS, encode_extents(extents)));
        }
        if self.marks != 0 {
            out.push((tag::MARKS, encode_numbers(&[self.marks])));
        }
        if let Some(c) = self.cut {
            out.push((tag::CHUNKER, vec![c.version, c.avg_log2]));
        }
        out.extend(self.unknown.iter().cloned());
        out.sort_by_key(|(t, _)| *t);
        out
    }

    fn set_attribute(&mut self, tag: u32, v: &[u8]) -> Result<(), DecodeError> {
        let text = |what| String::from_utf8(v.to_vec()).map_err(|_| DecodeError::Range { what });
        let narrow = |n: u64, what| u32::try_from(n).map_err(|_| DecodeError::Range { what });
        match tag {
            tag::STAT => self.stat = Stat::decode(v)?,
            tag::BIRTH => self.birth = Some(decode_birth(v)?),
            tag::OWNER => self.owner = text("owner name")?,
            tag::GROUP => self.group = text("group name")?,
            tag::TARGET => self.target = Some(v.to_vec()),
            tag::DEVICE => {
                let [major, minor] = decode_numbers(v, "device")?;
                self.device = Some(Device {
                    major: narrow(major, "device")?,
                    minor: narrow(minor, "device")?,
                });
            }
            tag::FLAGS => {
                self.flags = narrow(decode_numbers::<1>(v, "inode flags")?[0], "inode flags")?
            }
            tag::LINK_GROUP => {
                let [fs, ino] = decode_numbers(v, "link group")?;
                self.link_group = Some(LinkGroup { fs, ino });
            }
            tag::XATTRS => self.xattrs = decode_xattrs(v)?,
            tag::EXTENTS => self.extents = Some(decode_extents(v)?),
            tag::MARKS => self.marks = decode_numbers::<1>(v, "marks")?[0],
            tag::CHUNKER => {
                let [version, avg_log2] = v
                    .try_into()
                    .map_err(|_| DecodeError::Range { what: "chunker" })?;
                self.cut = Some(Cut { version, avg_log2 });
            }
            _ => self.unknown.push((tag, v.to_vec())),
        }
        Ok(())
    }

    /// Appends name, kind and attributes: the sealable part. Links go into the clear part.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_prefixed(out, &self.name);
        out.push(self.kind as u8);
        let mut list = Vec::with_capacity(96);
        for (tag, value) in self.attributes() {
            put_varint(&mut list, u64::from(tag));
            put_prefixed(&mut list, &value);
        }
        put_prefixed(out, &list);
    }

    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.prefixed(255, "entry name")?;
        check_name(name)?;
        let kind = Kind::from_u8(r.u8("entry kind")?)?;
        let mut entry = Self::new(name.to_vec(), kind, Stat::default());
        let mut list = Reader::new(r.prefixed(MAX_ATTRIBUTE_BYTES, "attributes")?);
        let mut last = 0;
        while !list.is_empty() {
            let tag = list.varint32("attribute tag")?;
            if tag <= last {
                return Err(DecodeError::Order { what: "attributes" });
            }
            last = tag;
            entry.set_attribute(tag, list.prefixed(MAX_ATTRIBUTE_BYTES, "attribute")?)?;
        }
        Ok(entry)
    }

    pub(crate) fn add_link(&mut self, link: Link) -> Result<(), DecodeError> {
        let wrong = DecodeError::Range {
            what: "link of this entry",
        };
        match (link, &mut self.content) {
            (Link::Attribute { tag, value }, _) => self.attribute_chunks.push((tag, value)),
            (Link::Chunk(c), Content::Chunks(chunks)) => chunks.push(c),
            (Link::Chunk(c), content @ Content::None) if self.kind == Kind::File => {
                *content = Content::Chunks(vec![c])
            }
            (Link::List(l), content @ Content::None) if self.kind == Kind::File => {
                *content = Content::List(l)
            }
            (Link::Directory(p), content @ Content::None) if self.kind == Kind::Directory => {
                *content = Content::Directory(p);
            }
            _ => return Err(wrong),
        }
        Ok(())
    }
}

/// Refuses names that could leave their directory.
///
/// # Errors
/// Empty, over 255 bytes, `.`, `..`, or holding `/` or NUL.
pub fn check_name(name: &[u8]) -> Result<(), DecodeError> {
    let bad = name.is_empty()
        || name.len() > 255
        || name == b"."
        || name == b".."
        || name.iter().any(|b| matches!(b, 0 | b'/'));
    if bad {
        Err(DecodeError::Range { what: "entry name" })
    } else {
        Ok(())
    }
}
