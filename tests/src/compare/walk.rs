//! Walks two trees side by side with two handles open, however deep they are.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use common::name::Shown;
use rustix::fs::{FileType, Stat};

use super::entry;
use crate::folder::Folder;

/// Differences are listed up to this many.
const MOST: usize = 200;
/// A longer path is shown by its two ends.
const LONG_PATH: usize = 300;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Everything but access times.
    Usual,
    /// Access times of all but links too.
    AccessTimesToo,
    /// No times at all.
    NoTimes,
}

type File = (u64, u64);

/// Ends the test with all differences, unless there are none.
///
/// # Panics
/// When the trees differ.
#[track_caller]
pub fn assert_same(original: &Path, restored: &Path) {
    let found = differences(original, restored, Compare::Usual);
    assert!(
        found.is_empty(),
        "{} and {} differ:\n  {}",
        original.display(),
        restored.display(),
        found.join("\n  ")
    );
}

/// All differences between two trees, the two roots themselves included, as `path: what`.
///
/// # Panics
/// When one of the roots is no folder.
#[must_use]
pub fn differences(original: &Path, restored: &Path, what: Compare) -> Vec<String> {
    let mut walk = Walk {
        what,
        found: Vec::new(),
        path: Vec::new(),
        ours: Folder::open(original),
        theirs: Folder::open(restored),
        links: Links::default(),
    };
    walk.entry(b".");
    let mut open = vec![walk.list()];
    while let Some(todo) = open.last_mut() {
        if walk.found.len() >= MOST {
            walk.found.push("and more".to_owned());
            break;
        }
        match todo.names.pop() {
            Some(name) => {
                if walk.enter(&name) {
                    open.push(walk.list());
                }
            }
            None => {
                open.pop();
                if let Some(above) = open.last() {
                    walk.leave(&above.stats);
                }
            }
        }
    }
    walk.found
}

/// Access times of all below `root` but links, by path: to show that nobody read there.
///
/// # Panics
/// When it cannot be listed.
#[must_use]
pub fn accessed(root: &Path) -> Vec<(Vec<u8>, i64, u64)> {
    let mut found = Vec::new();
    let mut open = vec![(Folder::open(root), Vec::new())];
    while let Some((folder, path)) = open.pop() {
        let listed = folder.names().expect("the tree can be listed");
        for name in [b".".to_vec()].into_iter().chain(listed) {
            let stat = folder.stat(&name).expect("the tree can be listed");
            let path = [&path[..], b"/", &name].concat();
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {}
                FileType::Directory if name != b"." => {
                    if path.len() < 3000 {
                        open.push((folder.enter(&name).expect("a folder"), path));
                    }
                }
                _ => found.push((path, stat.st_atime, stat.st_atime_nsec)),
            }
        }
    }
    found.sort();
    found
}

struct Walk {
    what: Compare,
    found: Vec<String>,
    path: Vec<Vec<u8>>,
    ours: Folder,
    theirs: Folder,
    links: Links,
}

/// Folders still to enter, and which two folders they are in.
struct Todo {
    names: Vec<Vec<u8>>,
    stats: (File, File),
}

impl Walk {
    /// Compares all names of the two open folders; gives those that are folders in both.
    fn list(&mut self) -> Todo {
        let (ours, theirs) = (self.names(&self.ours), self.names(&self.theirs));
        let mut folders = Vec::new();
        for name in ours.union(&theirs) {
            match (ours.contains(name), theirs.contains(name)) {
                (true, false) => self.say(name, "is missing"),
                (false, true) => self.say(name, "was not in the original"),
                _ => {
                    if self.entry(name) {
                        folders.push(name.clone());
                    }
                }
            }
        }
        folders.reverse();
        Todo {
            names: folders,
            stats: (id(&self.ours), id(&self.theirs)),
        }
    }

    fn names(&self, folder: &Folder) -> BTreeSet<Vec<u8>> {
        match folder.names() {
            Ok(names) => names.into_iter().collect(),
            Err(e) => panic!("list {}: {e}", self.shown(b"")),
        }
    }

    /// Compares one name; whether it is a folder in both.
    fn entry(&mut self, name: &[u8]) -> bool {
        let (ours, theirs) = match (self.ours.stat(name), self.theirs.stat(name)) {
            (Ok(a), Ok(b)) => (a, b),
            (a, b) => {
                self.say(name, &format!("stat: {:?}, {:?}", a.err(), b.err()));
                return false;
            }
        };
        for what in entry::differences(
            self.what,
            name,
            (&self.ours, &ours),
            (&self.theirs, &theirs),
        ) {
            self.say(name, &what);
        }
        let is_folder = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !is_folder(&ours) && !self.links.agree(&ours, &theirs) {
            self.say(name, "hard links differ");
        }
        is_folder(&ours) && is_folder(&theirs)
    }

    fn enter(&mut self, name: &[u8]) -> bool {
        match (self.ours.enter(name), self.theirs.enter(name)) {
            (Ok(ours), Ok(theirs)) => {
                self.ours = ours;
                self.theirs = theirs;
                self.path.push(name.to_vec());
                true
            }
            (a, b) => {
                self.say(
                    name,
                    &format!("cannot be opened: {:?}, {:?}", a.err(), b.err()),
                );
                false
            }
        }
    }

    fn leave(&mut self, expected: &(File, File)) {
        self.path.pop();
        self.ours = self
            .ours
            .enter(b"..")
            .expect("the folder above can be opened");
        self.theirs = self
            .theirs
            .enter(b"..")
            .expect("the folder above can be opened");
        assert_eq!(
            (id(&self.ours), id(&self.theirs)),
            *expected,
            "the trees changed while they were compared"
        );
    }

    fn say(&mut self, name: &[u8], what: &str) {
        let line = format!("{}: {what}", self.shown(name));
        self.found.push(line);
    }

    fn shown(&self, name: &[u8]) -> String {
        let mut path: Vec<u8> = self.path.join(&b"/"[..]);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if path.len() > LONG_PATH {
            let (head, tail) = (&path[..LONG_PATH / 2], &path[path.len() - LONG_PATH / 2..]);
            return format!("{}...{}", Shown(head), Shown(tail));
        }
        Shown(&path).to_string()
    }
}

fn id(folder: &Folder) -> File {
    let stat = folder.stat(b".").expect("an open folder has a stat");
    (stat.st_dev, stat.st_ino)
}

/// Which file of one tree is which file of the other, for files with several names.
#[derive(Default)]
struct Links {
    forward: HashMap<File, File>,
    backward: HashMap<File, File>,
}

impl Links {
    fn agree(&mut self, ours: &Stat, theirs: &Stat) -> bool {
        if ours.st_nlink < 2 && theirs.st_nlink < 2 {
            return true;
        }
        let (a, b) = ((ours.st_dev, ours.st_ino), (theirs.st_dev, theirs.st_ino));
        *self.forward.entry(a).or_insert(b) == b && *self.backward.entry(b).or_insert(a) == a
    }
}
