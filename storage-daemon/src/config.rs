//! storage.toml: what this Storage Daemon is called, where it listens, where its volumes lie.
//!
//! The state folder is the folder of the file. Unknown keys are refused with their line.

use std::path::{Path, PathBuf};

use common::config::{LoadError, Place, Problem, Problems, Size, Source, Spanned, load};
use serde::Deserialize;
use std::sync::Arc;

/// Smallest volume: the longest block, its commit and the seal fit many times.
const MIN_VOLUME: u64 = 32 << 20;
/// Largest volume: offsets are counted in 4 KiB with 32 bits.
const MAX_VOLUME: u64 = 1 << 40;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    storage: Storage,
    #[serde(default)]
    device: Devices,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    name: String,
    listen: Spanned<Vec<String>>,
    addresses: Option<Vec<String>>,
    director: Spanned<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Devices {
    #[serde(default)]
    disk: Disk,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disk {
    path: Option<PathBuf>,
    max_volume: Option<Spanned<Size>>,
}

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Label.
    pub name: String,
    /// Where it listens.
    pub listen: Vec<String>,
    /// Where File Daemons reach it; empty = where it listens.
    pub addresses: Vec<String>,
    /// Addresses of the Director.
    pub director: Vec<String>,
    /// Certificates.
    pub pki: PathBuf,
    /// Derived state.
    pub state: PathBuf,
    /// Volumes.
    pub volumes: PathBuf,
    /// Longest volume in bytes.
    pub max_volume_bytes: u64,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Not readable, or all that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let (file, source) = load::<File>(path)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut problems = Problems::default();
        let max_volume_bytes = checked_size(file.device.disk.max_volume, &source, &mut problems);
        for (addresses, what) in [
            (&file.storage.listen, "listen"),
            (&file.storage.director, "director"),
        ] {
            if addresses.get_ref().is_empty() {
                let place = Place::new(&source, addresses.span());
                let problem = Problem::new(place, format!("{what} names no address"));
                problems.push(problem.remedy("write at least one \"host:port\""));
            }
        }
        let config = Self {
            name: file.storage.name,
            listen: file.storage.listen.into_inner(),
            addresses: file.storage.addresses.unwrap_or_default(),
            director: file.storage.director.into_inner(),
            pki: folder.join("pki"),
            state: folder.join("state"),
            volumes: folder.join(file.device.disk.path.unwrap_or_else(|| "volumes".into())),
            max_volume_bytes,
        };
        problems.or(config).map_err(LoadError::Wrong)
    }

    /// What a first configuration says.
    #[must_use]
    pub fn first(name: &str, director: &[String]) -> String {
        let director: Vec<String> = director.iter().map(|a| format!("{a:?}")).collect();
        format!(
            "# Holdfast Storage Daemon. State, keys and volumes lie beside this file.\n[storage]\nname = {name:?}\n\
             listen = [\"127.0.0.1:9313\"]\n# addresses = [\"{name}.example:9313\"]   # where File Daemons reach it, when not where it listens\n\
             director = [{}]\n\n[device.disk]\npath = \"volumes\"\nmax_volume = \"2GiB\"\n",
            director.join(", ")
        )
    }
}

fn checked_size(size: Option<Spanned<Size>>, source: &Arc<Source>, problems: &mut Problems) -> u64 {
    let Some(size) = size else { return 2 << 30 };
    let bytes = size.get_ref().bytes();
    if !(MIN_VOLUME..=MAX_VOLUME).contains(&bytes) {
        let place = Place::new(source, size.span());
        let problem = Problem::new(place, "max_volume is out of range");
        problems.push(problem.remedy("write a size from \"32MiB\" to \"1TiB\""));
    }
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, LoadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("storage.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn the_first_configuration_reads_back() {
        let config = read(&Config::first("vault1", &["a:1".into(), "b:2".into()])).unwrap();
        assert_eq!(
            (config.name.as_str(), config.max_volume_bytes),
            ("vault1", 2 << 30)
        );
        assert_eq!(config.director, ["a:1", "b:2"]);
        assert!(config.volumes.ends_with("volumes") && config.state.ends_with("state"));
    }

    #[test]
    fn all_that_is_wrong_is_named_with_its_line() {
        let head = "[storage]\nname = \"v\"\nlisten = []\ndirector = [\"a:1\"]\n";
        for (text, line, words) in [
            (
                format!("{head}[device.disk]\nmax_volume = \"1MiB\"\n"),
                "6",
                "max_volume is out of range",
            ),
            (head.to_owned(), "3", "listen names no address"),
            (format!("{head}compresion = 3\n"), "5", "compresion"),
        ] {
            let message = read(&text).unwrap_err().to_string();
            assert!(
                message.contains(words) && message.contains(line),
                "{message}"
            );
        }
    }
}
