//! Finds PostgreSQL's programs: HOLDFAST_PG_BIN, PATH, the newest of the distributions' folders.

use std::path::{Path, PathBuf};

use super::error::EmbeddedError;

/// Where the programs are, and which PostgreSQL they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// Folder of `postgres` and `initdb`.
    pub folder: PathBuf,
    /// Major version, e.g. `15`.
    pub major: String,
}

impl Binaries {
    /// Finds them. `wanted` = major version of a cluster that exists: preferred when several are installed.
    ///
    /// # Errors
    /// None found; one found does not say its version.
    pub fn find(wanted: Option<&str>) -> Result<Self, EmbeddedError> {
        if let Some(folder) = std::env::var_os("HOLDFAST_PG_BIN") {
            return Self::at(PathBuf::from(folder));
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = std::env::split_paths(&path)
            .filter_map(|folder| std::fs::canonicalize(folder.join("postgres")).ok())
            .filter_map(|program| program.parent().map(Path::to_path_buf));
        let found: Vec<PathBuf> = in_path
            .chain(installed())
            .filter(|f| is_complete(f))
            .collect();
        let mut first = None;
        for folder in found {
            let binaries = Self::at(folder)?;
            if wanted.is_none_or(|w| w == binaries.major) {
                return Ok(binaries);
            }
            first.get_or_insert(binaries);
        }
        first.ok_or(EmbeddedError::NotFound)
    }

    fn at(folder: PathBuf) -> Result<Self, EmbeddedError> {
        if !is_complete(&folder) {
            return Err(EmbeddedError::NotFound);
        }
        let program = folder.join("postgres");
        let failed = |output: String| EmbeddedError::Program {
            program: program.clone(),
            output,
        };
        let said = std::process::Command::new(&program)
            .arg("--version")
            .output()
            .map_err(|e| failed(e.to_string()))?;
        // "postgres (PostgreSQL) 15.19 (Debian 15.19-0+deb12u1)"
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let major = text
            .split(") ")
            .nth(1)
            .and_then(|v| v.split(|c: char| !c.is_ascii_digit()).next());
        match major {
            Some(major) if !major.is_empty() => Ok(Self {
                major: major.to_owned(),
                folder,
            }),
            _ => Err(failed(format!("not a version: {text}"))),
        }
    }

    /// Path of a program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn is_complete(folder: &Path) -> bool {
    folder.join("postgres").is_file() && folder.join("initdb").is_file()
}

/// The folders distributions use, newest version first.
fn installed() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix) in [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")] {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name
                .to_str()
                .and_then(|n| n.strip_prefix(prefix))
                .and_then(|v| v.parse().ok());
            found.extend(version.map(|v| (v, entry.path().join("bin"))));
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}
