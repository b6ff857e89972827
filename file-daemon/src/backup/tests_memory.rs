//! Storage in memory for tests: keeps segments and pages, refuses a page before what it names, decodes whole trees; and
//! a scratch client to back up.
#![allow(clippy::unwrap_used, clippy::panic, clippy::new_without_default)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use bytes::Bytes;
use common::fileset::{Command, FileSet, Include, Rule};
use common::ids::{ChunkId, PageId};
use common::object::attribute::FileTime;
use common::object::entry::{Content, Entry};
use common::object::link::Link;
use common::object::page::{self, Page};
use common::object::segment::Segment;
use common::object::snapshot::{Counts, Snapshot};
use common::protocol::data::{Answer, Commit};
use common::protocol::fault::{Fault, code};
use common::protocol::orders::{BackupOrder, BaseTree};
use crossbeam_channel::{Receiver, bounded};
use parking_lot::Mutex;

use super::run::{BackupError, Saved, Site, run};
use crate::runlog::RunLog;
use crate::scan::tally::Tally;
use crate::sink::error::SinkError;
use crate::sink::port::{Figures, Storage};
use crate::sink::stop::Stop;

/// Storage in memory.
#[derive(Default)]
pub struct Memory {
    pub chunks: Mutex<HashMap<ChunkId, Bytes>>,
    pub pages: Mutex<HashMap<PageId, Bytes>>,
    pub asked: Mutex<Vec<ChunkId>>,
    pub checkpoints: Mutex<Vec<PageId>>,
    pub pages_got: AtomicU64,
    pub segments: AtomicU64,
    sent: AtomicU64,
    /// Pages it may give: roots of the run, and what pages given name.
    pub offered: Mutex<HashSet<PageId>>,
    /// Each segment takes this long.
    pub pace_ms: AtomicU64,
    /// Is lost once there is a checkpoint to resume from.
    pub breaks: AtomicBool,
}

impl Memory {
    fn take(&self, segment: &Segment) -> Result<Vec<u8>, SinkError> {
        self.sent.fetch_add(segment.payload.len() as u64, SeqCst);
        if self.breaks.load(SeqCst) && !self.checkpoints.lock().is_empty() {
            return Err(SinkError::Lost {
                storage: "memory".into(),
                reason: "the test says so".into(),
            });
        }
        let pace = self.pace_ms.load(SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(pace));
        let mut plain = Vec::new();
        segment.open(&mut plain).unwrap();
        Ok(plain)
    }

    fn has(&self, id: &ChunkId) -> bool {
        self.chunks.lock().contains_key(id) || self.pages.lock().contains_key(&PageId(id.0))
    }

    /// Content of an entry as a stream.
    pub fn content(&self, entry: &Entry) -> Vec<u8> {
        let chunk = |id: &ChunkId| self.chunks.lock()[id].to_vec();
        match &entry.content {
            Content::None | Content::Directory(_) => Vec::new(),
            Content::Chunks(chunks) => chunks.iter().flat_map(|c| chunk(&c.id)).collect(),
            Content::List(list) => self.list(&list.page),
        }
    }

    fn list(&self, id: &PageId) -> Vec<u8> {
        let bytes = self.pages.lock()[id].clone();
        let Page::List(links) = Page::decode(&bytes).unwrap() else {
            panic!("a list page")
        };
        let each = |link: &Link| match link {
            Link::Chunk(c) => self.chunks.lock()[&c.id].to_vec(),
            Link::List(l) => self.list(&l.page),
            _ => panic!("a link of a list"),
        };
        links.iter().flat_map(each).collect()
    }

    /// Every entry below a root, by path; each with its atime dropped and directory pages left out.
    pub fn tree(&self, root: &PageId) -> BTreeMap<Vec<u8>, Entry> {
        let mut all = BTreeMap::new();
        let mut open = vec![(Vec::new(), *root)];
        while let Some((path, id)) = open.pop() {
            let bytes = self.pages.lock()[&id].clone();
            match Page::decode(&bytes).unwrap() {
                Page::Index(lines) => open.extend(lines.iter().map(|l| (path.clone(), l.page))),
                Page::Leaf(entries) => {
                    for mut entry in entries {
                        let at = [path.as_slice(), b"/", &entry.name].concat();
                        if let Content::Directory(page) = entry.content {
                            open.push((at.clone(), page));
                            entry.content = Content::None;
                        }
                        entry.stat.atime = FileTime::default();
                        assert!(all.insert(at, entry).is_none(), "a path twice");
                    }
                }
                Page::List(_) => panic!("a list page in a directory"),
            }
        }
        all
    }
}

impl Storage for Memory {
    fn ask(&self, ids: Vec<ChunkId>) -> Result<Receiver<Answer>, SinkError> {
        let mut have = vec![0; ids.len().div_ceil(8)];
        for (n, id) in ids.iter().enumerate() {
            have[n / 8] |= u8::from(self.has(id)) << (n % 8);
        }
        self.asked.lock().extend(ids);
        let (answer, waiting) = bounded(1);
        answer.send(Answer { batch: 0, have }).unwrap();
        Ok(waiting)
    }

    fn send_segment(&self, segment: Segment) -> Result<(), SinkError> {
        let plain = self.take(&segment)?;
        self.segments.fetch_add(1, SeqCst);
        let mut at = 0;
        for slot in &segment.slots {
            let end = at + slot.len as usize;
            let bytes = Bytes::copy_from_slice(&plain[at..end]);
            self.chunks.lock().insert(slot.id, bytes);
            at = end;
        }
        Ok(())
    }

    fn send_pages(&self, segment: Segment) -> Result<(), SinkError> {
        let plain = self.take(&segment)?;
        assert!(plain.len() <= 512 << 10, "page segments are small");
        let mut at = 0;
        for slot in &segment.slots {
            let end = at + slot.len as usize;
            let bytes = Bytes::copy_from_slice(&plain[at..end]);
            for link in page::links(&bytes).unwrap() {
                assert!(self.has(&link.target()), "a page before {link:?}");
            }
            self.pages.lock().insert(PageId(slot.id.0), bytes);
            at = end;
        }
        Ok(())
    }

    fn pages(&self, ids: &[PageId]) -> Result<Vec<(PageId, Bytes)>, SinkError> {
        self.pages_got.fetch_add(ids.len() as u64, SeqCst);
        let (pages, mut offered) = (self.pages.lock(), self.offered.lock());
        let mut given = Vec::new();
        for id in ids {
            assert!(offered.contains(id), "a page nobody offered");
            let Some(bytes) = pages.get(id) else { break };
            offered.extend(page::links(bytes).unwrap().iter().filter_map(Link::page));
            given.push((*id, bytes.clone()));
        }
        Ok(given)
    }

    fn checkpoint(&self, root: Option<PageId>, _counts: Counts) -> Result<(), SinkError> {
        self.checkpoints.lock().extend(root);
        Ok(())
    }

    fn commit(&self, commit: Commit) -> Result<Vec<u8>, SinkError> {
        let root = PageId::from_slice(&commit.root).unwrap();
        if !self.pages.lock().contains_key(&root) {
            let missing = Fault::new(code::MISSING, "root page");
            return Err(SinkError::Refused(Arc::new(missing)));
        }
        let snapshot = Snapshot {
            root: commit.root,
            counts: commit.counts,
            ..Snapshot::default()
        };
        Ok(snapshot.to_bytes())
    }

    fn figures(&self) -> Figures {
        let sent_bytes = self.sent.load(SeqCst);
        Figures {
            sent_bytes,
            stored_bytes: sent_bytes,
        }
    }
}

/// A scratch folder whose parents do not change while tests run: they are part of every tree.
pub struct Scratch(PathBuf);

static FREE: std::sync::LazyLock<Mutex<Vec<PathBuf>>> = std::sync::LazyLock::new(|| {
    let exe = std::env::current_exe().unwrap();
    let top = exe.parent().unwrap().parent().unwrap();
    for old in std::fs::read_dir(top).unwrap().flatten() {
        let name = old.file_name().into_string().unwrap_or_default();
        if name
            .strip_prefix("scan-tests-")
            .is_some_and(|pid| !Path::new("/proc").join(pid).exists())
        {
            let _ = std::fs::remove_dir_all(old.path());
        }
    }
    let pool = top.join(format!("scan-tests-{}", std::process::id()));
    let folders = (0..64)
        .map(|n| pool.join(format!("{n:02}")))
        .collect::<Vec<_>>();
    folders
        .iter()
        .for_each(|f| std::fs::create_dir_all(f).unwrap());
    Mutex::new(folders)
});

impl Scratch {
    fn new() -> Self {
        Self(FREE.lock().pop().expect("no more than 64 clients at once"))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(&self.0).unwrap().flatten() {
            let _ = std::fs::remove_dir_all(entry.path());
            let _ = std::fs::remove_file(entry.path());
        }
        FREE.lock().push(self.0.clone());
    }
}

/// A scratch client: a folder to save, a state folder, a storage.
pub struct Client {
    pub folder: Scratch,
    pub storage: Arc<Memory>,
    pub fileset: FileSet,
    pub base: Option<PageId>,
    pub resume: Option<PageId>,
    pub checkpoint_s: u32,
    /// Added to the clock: what was made now is then old enough to be trusted.
    pub ahead_ms: i64,
    pub log: RunLog,
}

impl Client {
    pub fn new() -> Self {
        let folder = Scratch::new();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let mut client = Self {
            folder,
            storage: Arc::default(),
            fileset: FileSet::default(),
            base: None,
            resume: None,
            checkpoint_s: 0,
            ahead_ms: 60_000,
            log: RunLog::default(),
        };
        client.include(&[&client.path("")]);
        client
    }

    /// A path in the folder that is saved.
    pub fn path(&self, name: &str) -> PathBuf {
        let data = self.folder.path().join("data");
        if name.is_empty() {
            data
        } else {
            data.join(name)
        }
    }

    /// The same as the tree spells it.
    pub fn key(&self, name: &str) -> Vec<u8> {
        bytes(&self.path(name))
    }

    pub fn include(&mut self, paths: &[&Path]) {
        let include = |path: &&Path| Include {
            path: bytes(path),
            ..Include::default()
        };
        self.fileset.includes = paths.iter().map(include).collect();
    }

    pub fn rule(&mut self, glob: &str) {
        self.fileset.rules.push(Rule {
            glob: glob.into(),
            ..Rule::default()
        });
    }

    pub fn command(&mut self, path: &str, read: &[&str]) {
        self.fileset.commands.push(Command {
            path: path.as_bytes().to_vec(),
            read: read.iter().map(|s| (*s).to_owned()).collect(),
            write: Vec::new(),
        });
    }

    pub fn try_run(&mut self, level: &str, stop: &Stop) -> Result<Saved, BackupError> {
        let base = |root: PageId| BaseTree {
            root: root.0.to_vec(),
            ..BaseTree::default()
        };
        let order = BackupOrder {
            level: level.into(),
            fileset: Some(self.fileset.clone()),
            base: self.base.map(base),
            resume: self.resume.map(base),
            series: vec![1; 16],
            checkpoint_s: self.checkpoint_s,
            own_folders: vec![bytes(&self.folder.path().join("state"))],
            ..BackupOrder::default()
        };
        *self.storage.offered.lock() = self.base.into_iter().chain(self.resume).collect();
        self.log = RunLog::default();
        let tally = Tally::default();
        let site = Site {
            state: self.folder.path().join("state"),
            storage: Arc::clone(&self.storage) as Arc<dyn Storage>,
            present: (true, true),
            log: &self.log,
            tally: &tally,
            stop,
            now_ms: common::clock::now_ms() + self.ahead_ms,
        };
        run(&order, &site)
    }

    /// Runs and makes the result the next base.
    pub fn save(&mut self, level: &str) -> Saved {
        let saved = self.try_run(level, &Stop::default()).unwrap();
        self.base = Some(saved.root);
        saved
    }

    /// A Full of the same folder into a storage of its own, without a base.
    pub fn fresh(&mut self) -> (Arc<Memory>, Saved) {
        let storage = std::mem::take(&mut self.storage);
        let (base, resume) = (self.base.take(), self.resume.take());
        let saved = self.try_run("full", &Stop::default()).unwrap();
        (self.base, self.resume) = (base, resume);
        (std::mem::replace(&mut self.storage, storage), saved)
    }

    pub fn lines(&self) -> Vec<String> {
        self.log
            .take(usize::MAX)
            .into_iter()
            .map(|l| l.text)
            .collect()
    }

    /// The tree must be what a fresh Full of the disk gives, marks aside, with the content of the disk.
    pub fn check(&mut self, saved: &Saved) {
        let tree = self.storage.tree(&saved.root);
        let (fresh, full) = self.fresh();
        let expected = fresh.tree(&full.root);
        let names = |t: &BTreeMap<Vec<u8>, Entry>| -> HashSet<String> {
            t.keys()
                .map(|k| String::from_utf8_lossy(k).into_owned())
                .collect()
        };
        assert_eq!(names(&tree), names(&expected));
        for (path, entry) in &tree {
            let shown = String::from_utf8_lossy(path);
            assert_eq!(entry, &expected[path], "{shown}");
            let is_file = entry.kind == common::object::entry::Kind::File;
            if is_file && entry.extents.is_none() {
                use std::os::unix::ffi::OsStrExt;
                let disk = std::fs::read(std::ffi::OsStr::from_bytes(path)).unwrap();
                assert!(self.storage.content(entry) == disk, "content of {shown}");
            }
        }
        let counts = saved.counts;
        let expected = full.counts;
        assert_eq!(counts.entries, tree.len() as u64);
        assert_eq!(
            (
                counts.entries,
                counts.files,
                counts.directories,
                counts.protected_bytes
            ),
            (
                expected.entries,
                expected.files,
                expected.directories,
                expected.protected_bytes
            )
        );
    }
}

pub fn bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}
