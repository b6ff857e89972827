//! The files of the project: which ones the rules look at, read once.
//!
//! Skips what is built or hidden, never follows a symbolic link.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::source::{Source, text_of};

/// Folders that hold nothing written by hand.
const SKIPPED: &[&str] = &["target", "node_modules", "bench/results", "tests/data"];
/// Endings of the files whose words are checked.
const TEXT: &[&str] = &[
    "rs", "md", "toml", "sh", "py", "sql", "html", "css", "js", "yaml",
];
/// Hidden folders that are ours all the same.
const HIDDEN: &[&str] = &[".cargo", ".ci"];

/// Any text file, relative path and content.
pub struct Text {
    /// Relative to the root of the project.
    pub path: PathBuf,
    /// The file as it is.
    pub text: String,
}

/// All files the rules look at, in the order of their paths.
pub struct Tree {
    root: PathBuf,
    sources: Vec<Source>,
    texts: Vec<Text>,
}

impl Tree {
    /// Reads the project under `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut texts = Vec::new();
        collect(root, Path::new(""), &mut texts)?;
        texts.sort_by(|a, b| a.path.cmp(&b.path));
        let rust = texts
            .iter()
            .filter(|t| t.path.extension().is_some_and(|e| e == "rs"));
        let sources = rust.map(|t| Source::new(&t.path, &t.text)).collect();
        Ok(Self {
            root: root.to_owned(),
            sources,
            texts,
        })
    }

    /// The Rust files.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// All text files, the Rust files included.
    pub fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// Whether `relative` exists, of any kind of file.
    pub fn has(&self, relative: &str) -> bool {
        self.root.join(relative).try_exists().unwrap_or(false)
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<Text>) -> Result<()> {
    let here = root.join(folder);
    for entry in fs::read_dir(&here).with_context(|| format!("read folder {}", here.display()))? {
        let entry = entry.with_context(|| format!("read folder {}", here.display()))?;
        let name = text_of(&entry.file_name()).to_owned();
        let kind = entry
            .file_type()
            .with_context(|| format!("stat {}", entry.path().display()))?;
        let relative = folder.join(&name);
        if kind.is_dir() && !is_skipped(&relative, &name) {
            collect(root, &relative, texts)?;
        } else if kind.is_file() && is_text(&relative, folder) {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("read {}", relative.display()))?;
            texts.push(Text {
                path: relative,
                text,
            });
        }
    }
    Ok(())
}

fn is_skipped(relative: &Path, name: &str) -> bool {
    SKIPPED.iter().any(|skipped| relative == Path::new(skipped))
        || (name.starts_with('.') && !HIDDEN.contains(&name))
}

/// By its ending, or a script without one in a folder of scripts.
fn is_text(path: &Path, folder: &Path) -> bool {
    match path.extension() {
        Some(ending) => TEXT.iter().any(|known| *known == ending),
        None => {
            folder.starts_with(".ci")
                || folder.starts_with("bench/peers")
                || path == Path::new("Makefile")
        }
    }
}
