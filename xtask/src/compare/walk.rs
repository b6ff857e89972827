//! Lists a tree in the order of its names. The list is held in memory: this is a check for trees of
//! a demonstration, not for a million files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// All names below `root`, relative to it, the root itself first.
pub fn list(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let mut at = 0;
    while let Some(folder) = found.get(at).cloned() {
        at += 1;
        let path = root.join(&folder);
        let kind =
            fs::symlink_metadata(&path).with_context(|| format!("stat {}", path.display()))?;
        if !kind.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&path).with_context(|| format!("read {}", path.display()))? {
            let entry = entry.with_context(|| format!("read {}", path.display()))?;
            found.push(folder.join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}
