//! client.toml: who this client is, where its Director is, and what it lets a Director do here.
//!
//! The folder of the file is the daemon's own: `pki/` and `state/` lie beside it.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::{LoadError, Place, Problem, Problems, Source, Spanned, load};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    client: ClientSection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientSection {
    name: String,
    director: Spanned<Vec<String>>,
    permit_backup: Option<Vec<Spanned<PathBuf>>>,
    permit_restore: Option<Vec<Spanned<PathBuf>>>,
    permit_commands: Option<Vec<String>>,
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
    /// Not readable, or all that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let (Document { client }, source) = load::<Document>(path)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        let folder = std::fs::canonicalize(&folder).unwrap_or(folder);
        let mut problems = Problems::default();
        if client.director.get_ref().is_empty() {
            let place = Place::new(&source, client.director.span());
            let problem = Problem::new(place, "director names no address");
            problems.push(problem.remedy("write at least one \"host:port\""));
        }
        let config = Self {
            name: client.name,
            director: client.director.into_inner(),
            permit_backup: folders(client.permit_backup, &source, &mut problems),
            permit_restore: folders(client.permit_restore, &source, &mut problems),
            permit_commands: client.permit_commands,
            folder,
        };
        problems.or(config).map_err(LoadError::Wrong)
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

/// The bytes of absolute paths; left out = everything.
fn folders(
    paths: Option<Vec<Spanned<PathBuf>>>,
    source: &Arc<Source>,
    problems: &mut Problems,
) -> Vec<Vec<u8>> {
    let Some(paths) = paths else {
        return vec![b"/".to_vec()];
    };
    for path in paths.iter().filter(|path| !path.get_ref().is_absolute()) {
        let shown = path.get_ref().display();
        let place = Place::new(source, path.span());
        let problem = Problem::new(place, format!("{shown} is not an absolute path"));
        problems.push(problem.remedy(format!("write \"/{shown}\", or where it is")));
    }
    let bytes = |path: &Spanned<PathBuf>| path.get_ref().as_os_str().as_bytes().to_vec();
    paths.iter().map(bytes).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn the_first_file_reads_back_and_mistakes_are_named_with_their_line() {
        let config = read(&first_text("web01", &["backup.example:9311".to_owned()])).unwrap();
        assert_eq!((config.name.as_str(), config.director.len()), ("web01", 1));
        assert_eq!(config.permit_backup, [b"/".to_vec()]);
        assert!(config.state().ends_with("state"));
        for (text, says) in [
            (
                "[client]\nname = \"a\"\ndirector = []",
                ["client.toml:3", "director names no address"],
            ),
            (
                "[client]\nname = \"a\"\ndirector = [\"h:1\"]\npermit_backup = [\"home\"]",
                ["client.toml:4", "home is not an absolute path"],
            ),
            (
                "[client]\nname = \"a\"\ndirector = [\"h:1\"]\npermits = 1",
                ["client.toml:4", "permits"],
            ),
        ] {
            let problem = read(text).unwrap_err().to_string();
            assert!(says.iter().all(|part| problem.contains(part)), "{problem}");
        }
    }
}
