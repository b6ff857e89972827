//! client.toml: who this client is, where its Director is, and what it lets a Director do here.
//!
//! The folder of the file is the daemon's own: `pki/` and `state/` lie beside it.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It says something it should not: line and remedy are in the text.
    #[error("{}: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What and where.
        problem: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    client: ClientSection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientSection {
    name: String,
    director: Vec<String>,
    #[serde(default = "everything")]
    permit_backup: Vec<PathBuf>,
    #[serde(default = "everything")]
    permit_restore: Vec<PathBuf>,
    permit_commands: Option<Vec<String>>,
}

fn everything() -> Vec<PathBuf> {
    vec![PathBuf::from("/")]
}

/// A configuration that was checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Label.
    pub name: String,
    /// `host:port` of the Director, tried in order.
    pub director: Vec<String>,
    /// Folders a Director may have backed up.
    pub permit_backup: Vec<Vec<u8>>,
    /// Folders a Director may restore to.
    pub permit_restore: Vec<Vec<u8>>,
    /// Programs a Director may run for a FileSet's commands; `None` = any.
    pub permit_commands: Option<Vec<String>>,
    /// The folder of the file.
    pub folder: PathBuf,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        let folder = std::fs::canonicalize(&folder).unwrap_or(folder);
        Self::parse(&text, folder).map_err(|problem| ConfigError::Wrong {
            path: path.to_owned(),
            problem,
        })
    }

    fn parse(text: &str, folder: PathBuf) -> Result<Self, String> {
        let Document { client } = toml::from_str(text).map_err(|e| e.to_string())?;
        if client.director.is_empty() {
            return Err("[client] director is empty: give at least one \"host:port\"".to_owned());
        }
        Ok(Self {
            name: client.name,
            director: client.director,
            permit_backup: absolute("permit_backup", &client.permit_backup)?,
            permit_restore: absolute("permit_restore", &client.permit_restore)?,
            permit_commands: client.permit_commands,
            folder,
        })
    }

    /// The daemon's certificates.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.folder.join("pki")
    }

    /// The daemon's state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }
}

/// The text of a first client.toml.
#[must_use]
pub fn first_text(name: &str, director: &[String]) -> String {
    let director: Vec<_> = director.iter().map(|a| format!("{a:?}")).collect();
    format!(
        "# The File Daemon of this machine.\n[client]\nname = {name:?}\ndirector = [{}]\n\
         permit_backup = [\"/\"]     # what a Director may read here\n\
         permit_restore = [\"/\"]    # where it may write\n\
         # permit_commands = [\"pg_dump\", \"psql\"]   # programs it may run; left out = any\n",
        director.join(", ")
    )
}

fn absolute(what: &str, paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    paths
        .iter()
        .map(|path| {
            if path.is_absolute() {
                let bytes = path.as_os_str().as_bytes();
                Ok(bytes.to_vec())
            } else {
                let shown = path.display();
                Err(format!("[client] {what}: {shown} is not an absolute path"))
            }
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_reads_back_and_mistakes_are_named() {
        let text = first_text("web01", &["backup.example:9311".to_owned()]);
        let config = Config::parse(&text, PathBuf::from("/x")).unwrap();
        assert_eq!((config.name.as_str(), config.director.len()), ("web01", 1));
        assert_eq!(config.permit_backup, [b"/".to_vec()]);
        assert_eq!(config.state(), PathBuf::from("/x/state"));
        for (text, says) in [
            ("[client]\nname = \"a\"\ndirector = []", "director is empty"),
            ("[client]\nname = \"a\"\ndirector = [\"h:1\"]\npermit_backup = [\"home\"]", "not an absolute path"),
            ("[client]\nname = \"a\"\ndirector = [\"h:1\"]\npermits = 1", "line 4"),
        ] {
            let problem = Config::parse(text, PathBuf::new()).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }
}
