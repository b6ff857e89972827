//! What days of work do to a tree, from a seed: each kind of change a backup could overlook.
//!
//! Deep trees and flagged files are left alone. Each file or folder is changed at most once, so that every change stands
//! in the result.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::seed::Seed;

/// Folders directly below the root that are not touched.
const LEFT_ALONE: [&str; 4] = ["deep", "beyond", "flags", "wide"];
/// An instant long before every backup.
const OLD: (i64, u32) = (946_684_800, 123);

/// One kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Other content, other size.
    Rewrite,
    /// More at the end.
    Append,
    /// Less at the end.
    Truncate,
    /// A few bytes in the middle, same size.
    Patch,
    /// Other content with size and mtime put back.
    Disguise,
    /// Mode alone.
    Chmod,
    /// Owner alone.
    Chown,
    /// An extended attribute alone.
    Xattr,
    /// mtime alone.
    Touch,
    /// Gone.
    Delete,
    /// A second name.
    Link,
    /// A folder stands where the file was.
    ToFolder,
    /// A symbolic link stands where the file was.
    ToLink,
    /// Another file moved over it, with an old time.
    Replace,
    /// Another name in the same folder.
    Rename,
}

/// All kinds.
pub const CHANGES: [Change; 15] = [
    Change::Rewrite,
    Change::Append,
    Change::Truncate,
    Change::Patch,
    Change::Disguise,
    Change::Chmod,
    Change::Chown,
    Change::Xattr,
    Change::Touch,
    Change::Delete,
    Change::Link,
    Change::ToFolder,
    Change::ToLink,
    Change::Replace,
    Change::Rename,
];

/// Makes each kind of change `rounds` times to files below `root`, and changes folders too.
///
/// # Panics
/// When there are too few files.
pub fn mutate(root: &Path, seed: &Seed, rounds: usize) {
    let mut seed = seed.fork("mutate");
    let (mut files, folders) = list(root);
    for _ in 0..rounds {
        for change in CHANGES {
            assert!(
                !files.is_empty(),
                "too few files below {} for {change:?}",
                root.display()
            );
            let at = usize::try_from(seed.below(files.len() as u64)).expect("an index");
            let file = files.swap_remove(at);
            apply(&file, change, &mut seed);
        }
    }
    change_folders(root, &folders, &mut seed);
}

/// Makes one change to the file at `path`.
pub fn apply(path: &Path, change: Change, seed: &mut Seed) {
    let folder = Folder::open(path.parent().expect("a file is in a folder"));
    let name = path
        .file_name()
        .expect("a file has a name")
        .as_encoded_bytes();
    let before = std::fs::symlink_metadata(path).expect("the file is there");
    match change {
        Change::Rewrite => drop(folder.file(name, &seed.text(3000))),
        Change::Append => {
            let more = seed.bytes(777);
            folder
                .edit(name)
                .write_all_at(&more, before.len())
                .expect("append");
        }
        Change::Truncate => folder
            .edit(name)
            .set_len(before.len() / 2)
            .expect("truncate"),
        Change::Patch => patch(&folder, name, before.len(), seed),
        Change::Disguise => {
            patch(&folder, name, before.len(), seed);
            let nanos = |n: i64| u32::try_from(n).expect("below a second");
            folder.times(
                name,
                (before.atime(), nanos(before.atime_nsec())),
                (before.mtime(), nanos(before.mtime_nsec())),
            );
        }
        Change::Chmod => folder.mode(name, (before.mode() & 0o7777) ^ 0o011),
        Change::Chown => folder.owner(name, before.uid() ^ 1, before.gid() ^ 2),
        Change::Xattr => folder.xattr(name, "user.changed", &seed.bytes(16)),
        Change::Touch => folder.times(name, OLD, OLD),
        Change::Delete => folder.remove(name),
        Change::Link => folder.link(&[name, b"+"].concat(), &folder, name),
        Change::ToFolder => {
            folder.remove(name);
            folder.folder(name).file(b"inside", &seed.text(500));
        }
        Change::ToLink => {
            folder.remove(name);
            folder.symlink(name, b"elsewhere");
        }
        Change::Replace => {
            folder.file(b".moved-in", &seed.text(2000));
            folder.times(b".moved-in", OLD, OLD);
            folder.rename(b".moved-in", &folder, name);
        }
        Change::Rename => folder.rename(name, &folder, &[name, b"~"].concat()),
    }
}

/// Some bytes in the middle; an empty file gets one.
fn patch(folder: &Folder, name: &[u8], len: u64, seed: &mut Seed) {
    let at = if len > 64 { seed.below(len - 64) } else { 0 };
    let room = usize::try_from(len.clamp(1, 64)).expect("at most 64");
    folder
        .edit(name)
        .write_all_at(&seed.bytes(room), at)
        .expect("patch");
}

/// A folder moved into another, one gone with all below, one swapped for a file, one new, one moved in with old times.
fn change_folders(root: &Path, folders: &[PathBuf], seed: &mut Seed) {
    let root_folder = Folder::open(root);
    let made = root_folder.folder(b"made-later");
    for i in 0..3 {
        made.file(format!("new-{i}").as_bytes(), &seed.text(100 * i));
    }
    let leaves: Vec<&PathBuf> = folders
        .iter()
        .filter(|f| !folders.iter().any(|g| g != *f && g.starts_with(f)))
        .collect();
    let mut leaves = leaves.into_iter();
    if let Some(moved) = leaves.next() {
        std::fs::rename(moved, root.join("made-later/moved")).expect("move a folder");
    }
    if let Some(gone) = leaves.next() {
        crate::folder::remove_tree(gone);
    }
    if let Some(swapped) = leaves.next() {
        crate::folder::remove_tree(swapped);
        std::fs::write(swapped, seed.text(999)).expect("a file in a folder's place");
    }
    let old = made.folder(b"old-tree");
    for i in 0..3 {
        let name = format!("old-{i}");
        old.file(name.as_bytes(), &seed.text(50 + i));
        old.times(name.as_bytes(), OLD, OLD);
    }
    made.times(b"old-tree", OLD, OLD);
    made.rename(b"old-tree", &root_folder, b"moved-in");
}

/// Plain files with one name, and folders, sorted.
fn list(root: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut files, mut folders, mut open) = (Vec::new(), Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("the tree can be listed") {
            let entry = entry.expect("the tree can be listed");
            let left_alone = LEFT_ALONE.iter().any(|name| entry.file_name() == *name);
            if folder == root && left_alone {
                continue;
            }
            let metadata = entry.metadata().expect("the tree can be listed");
            if metadata.is_dir() {
                if folder != root {
                    folders.push(entry.path());
                }
                open.push(entry.path());
            } else if metadata.is_file() && metadata.nlink() == 1 && entry.file_name().len() < 250 {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    folders.sort();
    (files, folders)
}
