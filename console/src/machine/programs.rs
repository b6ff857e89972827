//! Finds the daemons' programs and PostgreSQL's.

use std::path::{Path, PathBuf};

use super::{Daemon, MachineError, file};

/// Where programs are looked for.
pub struct Programs {
    beside: PathBuf,
    console: PathBuf,
}

impl Programs {
    /// Beside this console first.
    ///
    /// # Errors
    /// When the system does not say where this program is.
    pub fn locate() -> Result<Self, MachineError> {
        let console = std::env::current_exe().map_err(file("find", Path::new("holdfast")))?;
        let beside = console.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { beside, console })
    }

    /// This console, for `detach`.
    pub(super) fn console(&self) -> &Path {
        &self.console
    }

    /// The program of a daemon.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn of(&self, daemon: Daemon) -> Result<PathBuf, MachineError> {
        let here = self.beside.join(daemon.program());
        if is_program(&here) {
            return Ok(here);
        }
        in_path(daemon.program()).ok_or_else(|| MachineError::Program {
            program: daemon.program().to_owned(),
            beside: self.beside.clone(),
        })
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|p| is_program(p))
}

/// Whether `initdb` and `postgres` are installed where the Director looks for them.
pub(super) fn has_postgres() -> bool {
    let complete =
        |bin: &Path| is_program(&bin.join("postgres")) && is_program(&bin.join("initdb"));
    if let Some(named) = std::env::var_os("HOLDFAST_PG_BIN") {
        return complete(Path::new(&named));
    }
    if in_path("postgres").is_some() && in_path("initdb").is_some() {
        return true;
    }
    let versions = ["/usr/lib/postgresql", "/usr"]
        .into_iter()
        .filter_map(|dir| std::fs::read_dir(dir).ok());
    versions
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .any(|bin| complete(&bin))
}
