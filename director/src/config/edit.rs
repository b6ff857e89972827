//! What the API writes: one file `conf.d/<kind>-<name>.toml` per resource, comments of people kept.
//!
//! A draft is checked together with everything that is configured before a byte is written; files are replaced
//! atomically, what is named before what names it, so that a crash between two leaves a configuration that is right.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::{LoadError, Source};
use toml_edit::{DocumentMut, Item, Table};

use super::context::is_name;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// Only people write the files.
    #[error("the configuration is kept in files only (director.managed = \"files\")")]
    FilesOnly,
    /// Not a name.
    #[error(
        "{0:?} cannot be a name: use 1 to 63 of a-z A-Z 0-9 . _ - and start with a letter or digit"
    )]
    Name(String),
    /// The file that is there cannot be edited.
    #[error("edit {}", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: toml_edit::TomlError,
    },
    /// The result would not be a right configuration, or a file could not be read.
    #[error(transparent)]
    Check(#[from] LoadError),
    /// A file could not be written.
    #[error("write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Kinds of resources in the order they are written: what is named first.
const ORDER: &[&str] = &[
    "storage", "client", "user", "pool", "fileset", "schedule", "job",
];

/// Changes to be made together.
#[derive(Debug, Default)]
pub struct Draft {
    tables: Vec<(&'static str, String, Table)>,
}

impl Draft {
    /// Sets the keys of `table` in resource `kind` `name`; other keys of it stay as they are.
    ///
    /// # Errors
    /// Not a name.
    pub fn set(&mut self, kind: &'static str, name: &str, table: Table) -> Result<(), EditError> {
        if !is_name(name) {
            return Err(EditError::Name(name.chars().take(80).collect()));
        }
        self.tables.push((kind, name.to_owned(), table));
        Ok(())
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The files as they are to be, in the order of writing.
    pub(super) fn sources(&self, folder: &Path) -> Result<Vec<Arc<Source>>, EditError> {
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by_key(|(kind, name, _)| (ORDER.iter().position(|k| k == kind), name));
        tables
            .into_iter()
            .map(|(kind, name, table)| {
                edited(
                    &folder.join(format!("conf.d/{kind}-{name}.toml")),
                    kind,
                    name,
                    table,
                )
            })
            .collect()
    }
}

/// The text of a file with the keys of one resource set.
fn edited(path: &Path, kind: &str, name: &str, table: &Table) -> Result<Arc<Source>, EditError> {
    let old = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => {
            let path = path.to_owned();
            return Err(LoadError::Read { path, source }.into());
        }
    };
    let mut document: DocumentMut = old.parse().map_err(|source| EditError::Edit {
        path: path.to_owned(),
        source,
    })?;
    let kinds = document.entry(kind).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let resource = kinds
        .as_table_mut()
        .map(|t| t.entry(name).or_insert_with(toml_edit::table));
    if let Some(resource) = resource.and_then(Item::as_table_like_mut) {
        for (key, value) in table {
            resource.insert(key, value.clone());
        }
    }
    Ok(Source::from_text(path, document.to_string()))
}

/// Writes checked sources, each atomically and durably.
pub(super) fn write(sources: &[Arc<Source>]) -> Result<(), EditError> {
    for source in sources {
        let result = source
            .path
            .parent()
            .map_or(Ok(()), |folder| {
                common::durable::create_folder(folder, 0o700)
            })
            .and_then(|()| {
                common::durable::write_atomic(&source.path, source.text.as_bytes(), 0o600)
            });
        result.map_err(|error| EditError::Write {
            path: source.path.clone(),
            source: error,
        })?;
    }
    Ok(())
}
