//! Names of one directory, held as compact bytes and sorted: a million names of 20 bytes take 28 MiB.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::RawDir;

/// Bytes asked of the kernel at once.
const GETDENTS_BYTES: usize = 128 << 10;

/// Where a name lies in the bytes.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: u8,
}

/// Sorted names.
#[derive(Debug, Default)]
pub struct Names {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// Reads directories into [`Names`]; keeps its buffer.
#[derive(Debug)]
pub struct NameReader {
    buffer: Vec<MaybeUninit<u8>>,
}

impl Default for NameReader {
    fn default() -> Self {
        Self {
            buffer: vec![MaybeUninit::uninit(); GETDENTS_BYTES],
        }
    }
}

impl NameReader {
    /// All names of an open directory but `.` and `..`.
    ///
    /// # Errors
    /// As `getdents`; more than 4 GiB of names.
    pub fn read(&mut self, directory: impl AsFd) -> io::Result<Names> {
        let mut names = Names::default();
        let mut entries = RawDir::new(directory, &mut self.buffer);
        while let Some(entry) = entries.next() {
            let name = entry?;
            let name = name.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name)?;
            }
        }
        names.sort();
        Ok(names)
    }
}

impl Names {
    /// Names from elsewhere, sorted and each once.
    ///
    /// # Errors
    /// As [`NameReader::read`].
    pub fn of<'a>(list: impl IntoIterator<Item = &'a [u8]>) -> io::Result<Self> {
        let mut names = Self::default();
        for name in list {
            names.push(name)?;
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Name `n` in order.
    #[must_use]
    pub fn get(&self, n: usize) -> Option<&[u8]> {
        self.spans.get(n).map(|span| self.at(*span))
    }

    /// Whether a name is among them.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.spans
            .binary_search_by(|span| self.at(*span).cmp(name))
            .is_ok()
    }

    /// Adds names that are not there yet.
    ///
    /// # Errors
    /// As [`NameReader::read`].
    pub fn add<'a>(&mut self, list: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
        for name in list {
            self.push(name)?;
        }
        self.sort();
        self.dedup();
        Ok(())
    }

    fn push(&mut self, name: &[u8]) -> io::Result<()> {
        let too_long =
            || io::Error::new(io::ErrorKind::FileTooLarge, "too many names in a directory");
        let start = u32::try_from(self.bytes.len()).map_err(|_| too_long())?;
        let length = u8::try_from(name.len()).map_err(|_| too_long())?;
        self.bytes.extend_from_slice(name);
        self.spans.push(Span { start, length });
        Ok(())
    }

    fn at(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        &self.bytes[start..start + usize::from(span.length)]
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let at = |s: &Span| &bytes[s.start as usize..s.start as usize + usize::from(s.length)];
        self.spans.sort_unstable_by(|a, b| at(a).cmp(at(b)));
    }

    fn dedup(&mut self) {
        let bytes = &self.bytes;
        let at = |s: &Span| &bytes[s.start as usize..s.start as usize + usize::from(s.length)];
        self.spans.dedup_by(|a, b| at(a) == at(b));
    }
}
