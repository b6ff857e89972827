//! Where the programs under test are: beside the test's own executable, built by `cargo build --workspace --bins`.

use std::path::{Path, PathBuf};

/// A program of Holdfast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The console.
    Console,
    /// The Director.
    Director,
    /// The Storage Daemon.
    Storage,
    /// The File Daemon.
    Client,
}

impl Program {
    /// File name of the executable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Console => "holdfast",
            Self::Director => "holdfast-director",
            Self::Storage => "holdfast-storaged",
            Self::Client => "holdfast-filed",
        }
    }

    /// Path of the executable: in `HOLDFAST_BIN`, else in the folder above the test's own (`target/debug`).
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn path(self) -> PathBuf {
        let folder = std::env::var_os("HOLDFAST_BIN").map_or_else(beside_the_test, PathBuf::from);
        let path = folder.join(self.name());
        assert!(
            path.is_file(),
            "{} is not built; `make test` builds it first, or: cargo build --workspace --bins",
            path.display()
        );
        path
    }
}

/// `target/debug` of `target/debug/deps/system-0123`.
fn beside_the_test() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    test.parent()
        .and_then(Path::parent)
        .expect("a test is two folders deep")
        .to_owned()
}
