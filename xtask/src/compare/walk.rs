//! Lists a tree in the order of its names. The list is held in memory: this is a check for trees of
//! a demonstration, not for a million files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The names of a tree.
#[derive(Default)]
pub struct Listing {
    /// Relative to the root of the tree, the root itself first.
    pub names: Vec<PathBuf>,
    /// How many folders this user may not look into.
    pub closed: usize,
}

/// All names below `root`.
pub fn list(root: &Path) -> Result<Listing> {
    let mut listing = Listing {
        names: vec![PathBuf::new()],
        closed: 0,
    };
    let mut at = 0;
    while let Some(folder) = listing.names.get(at).cloned() {
        at += 1;
        let path = root.join(&folder);
        let kind =
            fs::symlink_metadata(&path).with_context(|| format!("stat {}", path.display()))?;
        if !kind.is_dir() {
            continue;
        }
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                listing.closed += 1;
                continue;
            }
            other => other.with_context(|| format!("read {}", path.display()))?,
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("read {}", path.display()))?;
            listing.names.push(folder.join(entry.file_name()));
        }
    }
    listing.names.sort();
    Ok(listing)
}
