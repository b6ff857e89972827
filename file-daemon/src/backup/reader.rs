//! Reader: one name that has to be captured becomes an entry: attributes, content, and whether it is what it was.
//!
//! Never follows a link, waits for a fifo or reads a device; never touches access times where the system lets it. A file
//! that changed while it was read is flagged and has the length that was read.

use std::io;
use std::os::fd::AsFd;

use common::fileset::Command;
use common::name::Shown;
use common::object::attribute::{Extent, FileTime, Stat, marks};
use common::object::entry::{Entry, Kind};
use rustix::fs::{Advice, fadvise};

use super::command::{self, CommandError};
use super::content::{Cutter, StreamError};
use super::known::Known;
use super::source::SourceError;
use super::upload::Upload;
use crate::attributes::look::{Looked, look_at};
use crate::attributes::{CaptureError, Capturer, Place};
use crate::runlog::RunLog;
use crate::scan::base::BasePages;
use crate::scan::own::same_attributes;
use crate::scan::step::{Capture, Standing};
use crate::scan::tally::{Tally, one};
use crate::sink::error::SinkError;
use crate::sink::stop::Stop;

/// Files from this size on are announced as read in sequence.
const LARGE_BYTES: u64 = 1 << 20;

/// What readers share.
#[derive(Clone)]
pub struct Reading<'a> {
    /// The way to the packer.
    pub upload: Upload<'a>,
    /// Pages of the base.
    pub pages: &'a BasePages,
    /// The run's log.
    pub log: &'a RunLog,
    /// The run's counts.
    pub tally: &'a Tally,
    /// Why the run stopped.
    pub stop: &'a Stop,
}

/// One reader; keeps its buffers and what it learned of owners.
pub struct Reader<'a> {
    with: Reading<'a>,
    capturer: Capturer,
    cutter: Cutter,
}

enum Failed {
    Source(SourceError),
    Sink(SinkError),
}

impl From<SinkError> for Failed {
    fn from(e: SinkError) -> Self {
        Self::Sink(e)
    }
}

impl From<SourceError> for Failed {
    fn from(e: SourceError) -> Self {
        Self::Source(e)
    }
}

impl<'a> Reader<'a> {
    /// A reader.
    #[must_use]
    pub fn new(with: Reading<'a>) -> Self {
        Self {
            with,
            capturer: Capturer::default(),
            cutter: Cutter::default(),
        }
    }

    /// Captures a name. `None` = it is not part of the tree: it vanished.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn save(&mut self, capture: &Capture) -> Result<Option<Entry>, SinkError> {
        let captured = match capture.looked.kind {
            Kind::File => self.file(capture),
            _ => Ok(self.node(capture)),
        };
        let entry = match captured {
            Ok(entry) => entry,
            Err(Failed::Source(e)) => match self.unsaved(capture, &e) {
                Some(entry) => entry,
                None => return Ok(None),
            },
            Err(Failed::Sink(e)) => return Err(e),
        };
        self.settle(entry, capture.base.as_ref(), capture.standing)
            .map(Some)
    }

    /// Another name of a file that was captured before.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn save_again(&self, first: &Entry, capture: &Capture) -> Result<Entry, SinkError> {
        let mut entry = first.clone();
        entry.name.clone_from(&capture.name);
        self.settle(entry, capture.base.as_ref(), capture.standing)
    }

    /// The output of a command.
    ///
    /// # Errors
    /// It failed, or the run was stopped.
    pub fn save_command(
        &mut self,
        command: &Command,
        name: Vec<u8>,
        base: Option<Entry>,
    ) -> Result<Entry, CommandError> {
        let now = common::clock::now_ms();
        let time = FileTime {
            secs: now.div_euclid(1000),
            nanos: u32::try_from(now.rem_euclid(1000)).unwrap_or(0) * 1_000_000,
        };
        let stat = Stat {
            mode: 0o600,
            mtime: time,
            ctime: time,
            atime: time,
            nlink: 1,
            ..Stat::default()
        };
        let mut entry = Entry::new(name, Kind::File, stat);
        let known = Known::of(base.as_ref(), self.with.pages)?;
        let stored = command::save(
            command,
            (&mut self.cutter, base.and_then(|b| b.cut)),
            (&self.with.upload, &known),
            (self.with.log, self.with.stop),
        )?;
        entry.marks |= marks::COMMAND;
        entry.stat.size = stored.bytes;
        (entry.content, entry.cut) = (stored.content, stored.cut);
        self.count_read(stored.bytes);
        Ok(self.settle(entry, None, Standing::Counted)?)
    }

    /// Moves what is too long for a page into chunks.
    ///
    /// # Errors
    /// The run was stopped.
    pub fn shorten(&self, entry: &mut Entry, known: &Known) -> Result<(), SinkError> {
        if !is_long(entry) {
            return Ok(());
        }
        for (tag, value) in entry.oversized() {
            let chunk = self.with.upload.chunk(value.into(), known)?;
            entry.moved_to_chunk(tag, chunk);
        }
        Ok(())
    }

    /// The entry as it goes into the tree, counted; the base's own when it says the same.
    fn settle(
        &self,
        mut entry: Entry,
        base: Option<&Entry>,
        standing: Standing,
    ) -> Result<Entry, SinkError> {
        if is_long(&entry) {
            let known = Known::of(base, self.with.pages)?;
            self.shorten(&mut entry, &known)?;
        }
        let same = base.filter(|b| b.content == entry.content && same_attributes(b, &entry));
        match standing {
            Standing::New => one(&self.with.tally.new_entries),
            Standing::Compare if same.is_none() => one(&self.with.tally.changed_entries),
            Standing::Compare | Standing::Counted => {}
        }
        let entry = same.cloned().unwrap_or(entry);
        self.with.tally.entry(&entry);
        Ok(entry)
    }

    fn node(&mut self, capture: &Capture) -> Entry {
        let mut entry = capture.looked.entry(capture.name.clone());
        let place = Place::Named(capture.directory.as_fd(), &capture.name);
        let missed = self.capturer.fill(&mut entry, &capture.looked, place);
        self.missed(capture, &missed);
        entry
    }

    fn file(&mut self, capture: &Capture) -> Result<Entry, Failed> {
        let failed = |operation, e| SourceError::from_io(operation, capture.path(), e);
        let opened = capture.directory.open_file(&capture.name);
        let file = opened.map_err(|e| failed("open", e))?;
        let looked = look_at(&file).map_err(|e| failed("look at", e))?;
        if looked.kind != Kind::File {
            return Err(SourceError::Swapped(capture.path()).into());
        }
        let mut entry = looked.entry(capture.name.clone());
        let place = Place::Open(file.as_fd());
        let missed = self.capturer.fill(&mut entry, &looked, place);
        self.missed(capture, &missed);
        if looked.stat.size > 0 {
            self.content(&file, &looked, (&mut entry, capture))?;
        }
        one(&self.with.tally.files_read);
        let after = look_at(&file).map_err(|e| failed("look at", e))?;
        let same = |l: &Looked| (l.stat.size, l.stat.mtime);
        if same(&after) != same(&looked) || entry.stat.size != looked.stat.size {
            entry.marks |= marks::CHANGED;
            one(&self.with.tally.changed_while_read);
            self.with.log.notice(format!(
                "{} changed while it was read",
                Shown(&capture.path())
            ));
        }
        Ok(entry)
    }

    fn content(
        &mut self,
        file: &impl AsFd,
        looked: &Looked,
        (entry, capture): (&mut Entry, &Capture),
    ) -> Result<(), Failed> {
        let whole = [Extent {
            offset: 0,
            len: looked.stat.size,
        }];
        let extents = entry.extents.clone();
        let extents = extents.as_deref().unwrap_or(&whole);
        let expected = extents.iter().map(|e| e.len).sum();
        if expected >= LARGE_BYTES {
            // A hint only.
            let _ = fadvise(file, 0, None, Advice::Sequential);
        }
        let base = capture.base.as_ref();
        let known = Known::of(base, self.with.pages)?;
        let mut stream = ExtentStream::new(file, extents);
        let (tally, stop) = (self.with.tally, self.with.stop);
        let mut fill = |buffer: &mut [u8]| {
            stop.check().map_err(io::Error::other)?;
            let got = stream.read(buffer)?;
            tally
                .read_bytes
                .fetch_add(got as u64, std::sync::atomic::Ordering::Relaxed);
            Ok(got)
        };
        let to = (&self.with.upload, &known);
        let stored = self
            .cutter
            .store(&mut fill, expected, base.and_then(|b| b.cut), to)
            .map_err(|e| match e {
                StreamError::Sink(e) => Failed::Sink(e),
                StreamError::Source(e) => match stop.check() {
                    Err(stopped) => Failed::Sink(stopped),
                    Ok(()) => SourceError::from_io("read", capture.path(), e).into(),
                },
            })?;
        (entry.content, entry.cut) = (stored.content, stored.cut);
        if stored.bytes < expected {
            let (size, kept) = shortened(extents, stored.bytes);
            entry.stat.size = size;
            entry.extents = entry.extents.is_some().then_some(kept);
        }
        Ok(())
    }

    /// What goes into the tree for a file that could not be read: what the base has, or its attributes alone.
    fn unsaved(&mut self, capture: &Capture, error: &SourceError) -> Option<Entry> {
        let cause = std::error::Error::source(error).map_or(String::new(), |e| format!(": {e}"));
        if let SourceError::Vanished(_) = error {
            one(&self.with.tally.vanished);
            self.with.log.notice(error.to_string());
            if capture.standing == Standing::Compare {
                one(&self.with.tally.removed_entries);
            }
            return None;
        }
        one(&self.with.tally.unsaved);
        if let Some(base) = &capture.base {
            let kept = "its last saved content is kept";
            self.with.log.warning(format!("{error}{cause}; {kept}"));
            let mut entry = base.clone();
            entry.marks |= marks::STALE;
            return Some(entry);
        }
        self.with
            .log
            .warning(format!("{error}{cause}; only its attributes are saved"));
        let mut entry = self.node(capture);
        entry.marks |= marks::UNREAD;
        Some(entry)
    }

    fn missed(&self, capture: &Capture, missed: &[CaptureError]) {
        for error in missed {
            let path = capture.path();
            self.with
                .log
                .warning(format!("{}: {error}: {}", Shown(&path), error.source));
        }
    }

    fn count_read(&self, bytes: u64) {
        one(&self.with.tally.files_read);
        let read = &self.with.tally.read_bytes;
        read.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Whether an entry may hold something too long for a page; a cheap upper estimate.
fn is_long(entry: &Entry) -> bool {
    let xattrs: usize = entry
        .xattrs
        .iter()
        .map(|(n, v)| n.len() + v.len() + 6)
        .sum();
    let extents = entry.extents.as_ref().map_or(0, |e| e.len() * 20);
    let target = entry.target.as_ref().map_or(0, Vec::len);
    xattrs.max(extents).max(target) > common::object::attribute::INLINE_BYTES
}

/// Size and extents of a sparse file of which only so many bytes were there.
fn shortened(extents: &[Extent], bytes: u64) -> (u64, Vec<Extent>) {
    let (mut left, mut size, mut kept) = (bytes, 0, Vec::new());
    for extent in extents {
        let len = extent.len.min(left);
        if len == 0 {
            break;
        }
        kept.push(Extent {
            offset: extent.offset,
            len,
        });
        size = extent.offset + len;
        left -= len;
    }
    (size, kept)
}

/// The data of a file, extent by extent.
struct ExtentStream<'a, F> {
    file: &'a F,
    extents: &'a [Extent],
    done: u64,
}

impl<'a, F: AsFd> ExtentStream<'a, F> {
    fn new(file: &'a F, extents: &'a [Extent]) -> Self {
        Self {
            file,
            extents,
            done: 0,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((extent, rest)) = self.extents.split_first() else {
            return Ok(0);
        };
        let most = usize::try_from(extent.len - self.done).unwrap_or(usize::MAX);
        let most = buffer.len().min(most);
        let at = extent.offset + self.done;
        let got = loop {
            match rustix::io::pread(self.file, &mut buffer[..most], at) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        self.done += got as u64;
        if got == 0 {
            // Cut shorter meanwhile: the stream ends here.
            self.extents = &[];
        } else if self.done >= extent.len {
            (self.extents, self.done) = (rest, 0);
        }
        Ok(got)
    }
}
