//! Content: a stream of bytes cut into chunks and uploaded, and what an entry says of it afterwards.
//!
//! Memory: one buffer per reader, of two longest chunks, and a slab that small files share, so that two hundred thousand
//! files are not two hundred thousand allocations. The stream ends where the source ends, whatever size was
//! announced.

use std::io;

use bytes::BytesMut;
use common::object::attribute::Cut;
use common::object::chunker::{Chunker, cut_for_size};
use common::object::entry::Content;
use common::object::list::ListBuilder;

use super::known::Known;
use super::upload::Upload;
use crate::sink::error::SinkError;

/// Bytes read at once from a large source.
const READ_BYTES: usize = 1 << 20;
/// Bytes of a slab.
const SLAB_BYTES: usize = 256 << 10;

/// Why a stream ended early.
#[derive(Debug)]
pub enum StreamError {
    /// The source.
    Source(io::Error),
    /// The sink.
    Sink(SinkError),
}

impl From<SinkError> for StreamError {
    fn from(e: SinkError) -> Self {
        Self::Sink(e)
    }
}

/// What became of a stream.
#[derive(Debug)]
pub struct Stored {
    /// Where its bytes are.
    pub content: Content,
    /// How it was cut; `None` when it is one chunk.
    pub cut: Option<Cut>,
    /// Its bytes.
    pub bytes: u64,
}

/// A source of bytes: fills the buffer from where it stands; 0 = the end.
pub type Fill<'a> = &'a mut dyn FnMut(&mut [u8]) -> io::Result<usize>;

/// Cuts streams; keeps its buffers.
#[derive(Debug, Default)]
pub struct Cutter {
    buffer: Vec<u8>,
    slab: BytesMut,
}

impl Cutter {
    /// Uploads a stream of about `expected` bytes. `base` = how the base's content was cut: inherited.
    ///
    /// # Errors
    /// The source failed, or the run was stopped.
    pub fn store(
        &mut self,
        fill: Fill<'_>,
        expected: u64,
        base: Option<Cut>,
        to: (&Upload<'_>, &Known),
    ) -> Result<Stored, StreamError> {
        let inherited = base.and_then(|cut| Chunker::new(cut).map(|c| (cut, c)));
        let fresh = || {
            let cut = cut_for_size(expected);
            Chunker::new(cut).map(|c| (cut, c))
        };
        let Some((cut, chunker)) = inherited.or_else(fresh) else {
            let known = "every cut made here is known here";
            return Err(StreamError::Source(io::Error::other(known)));
        };
        match usize::try_from(expected) {
            Ok(size) if size > 0 && size <= chunker.min_bytes() => self.small(fill, size, to),
            _ => self.large(fill, (cut, chunker), to),
        }
    }

    fn large(
        &mut self,
        fill: Fill<'_>,
        (cut, chunker): (Cut, Chunker),
        (upload, known): (&Upload<'_>, &Known),
    ) -> Result<Stored, StreamError> {
        let mut list = ListBuilder::new();
        let (mut bytes, mut chunks) = (0u64, 0u64);
        let mut emit = |page| upload.page(page);
        let mut window = Window::new(&mut self.buffer, chunker.max_bytes());
        while window.fill(fill).map_err(StreamError::Source)? {
            let length = chunker.first(window.bytes());
            let chunk = upload.chunk_of(&window.bytes()[..length], known)?;
            list.push(chunk, &mut emit)?;
            window.take(length);
            bytes += length as u64;
            chunks += 1;
        }
        let content = list.finish(&mut emit)?;
        Ok(Stored {
            content,
            cut: (chunks > 1).then_some(cut),
            bytes,
        })
    }

    /// A file that is one chunk: read whole, without a second copy. A slab that is used up belongs to its pieces; what
    /// nobody holds any more is used again.
    fn small(
        &mut self,
        fill: Fill<'_>,
        size: usize,
        (upload, known): (&Upload<'_>, &Known),
    ) -> Result<Stored, StreamError> {
        if self.slab.capacity() < size {
            self.slab.reserve(size.max(SLAB_BYTES));
        }
        self.slab.resize(size, 0);
        let mut end = 0;
        while end < size {
            match fill(&mut self.slab[end..]) {
                Ok(0) => break,
                Ok(got) => end += got,
                Err(e) => {
                    self.slab.clear();
                    return Err(StreamError::Source(e));
                }
            }
        }
        self.slab.truncate(end);
        let content = if end == 0 {
            Content::None
        } else {
            Content::Chunks(vec![upload.chunk(self.slab.split().freeze(), known)?])
        };
        Ok(Stored {
            content,
            cut: None,
            bytes: end as u64,
        })
    }
}

/// A view of a stream that always holds one longest chunk, or all that is left.
struct Window<'a> {
    buffer: &'a mut Vec<u8>,
    longest: usize,
    start: usize,
    end: usize,
    at_end: bool,
}

impl<'a> Window<'a> {
    fn new(buffer: &'a mut Vec<u8>, longest: usize) -> Self {
        buffer.resize(longest * 2 + READ_BYTES, 0);
        Self {
            buffer,
            longest,
            start: 0,
            end: 0,
            at_end: false,
        }
    }

    /// Reads on; `false` = nothing is left.
    fn fill(&mut self, fill: Fill<'_>) -> io::Result<bool> {
        while !self.at_end && self.end - self.start < self.longest {
            if self.buffer.len() - self.end < READ_BYTES {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            let until = self.end + READ_BYTES;
            let got = fill(&mut self.buffer[self.end..until])?;
            self.at_end = got == 0;
            self.end += got;
        }
        Ok(self.start < self.end)
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn take(&mut self, length: usize) {
        self.start += length;
    }
}
