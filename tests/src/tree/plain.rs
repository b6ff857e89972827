//! Many ordinary files in some folders, for runs that must take a while or store much.

use std::path::Path;

use crate::folder::Folder;
use crate::seed::Seed;

/// How many, how large.
#[derive(Debug, Clone, Copy)]
pub struct Plain {
    /// Folders, each with as many files.
    pub folders: usize,
    /// Files in each folder.
    pub files: usize,
    /// Bytes of each file; none compresses.
    pub size_bytes: usize,
}

/// Makes the tree at `path`, which is made when missing.
pub fn make(path: &Path, seed: &Seed, plain: Plain) {
    let root = Folder::make(path);
    let mut seed = seed.fork("plain");
    for folder in 0..plain.folders {
        let folder = root.folder(format!("folder-{folder:04}").as_bytes());
        for file in 0..plain.files {
            folder.file(
                format!("file-{file:05}").as_bytes(),
                &seed.bytes(plain.size_bytes),
            );
        }
    }
}
