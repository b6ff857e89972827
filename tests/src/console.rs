//! The console as a person or a script uses it: arguments in, exit code, text or JSON out.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::binaries::Program;

/// What daemons started by a test may write to: the test's own folder and /tmp. Everything else is read-only for them,
/// so that a mistake in what a restore writes or removes cannot reach the machine. Mounts made later are still seen.
const CAGE: &str = r#"
mount --rbind "$1" "$1" && mount --rbind /tmp /tmp && mount -o remount,bind,ro / || exit 99
shift
exec "$@"
"#;

/// The console of one installation.
#[derive(Debug, Clone)]
pub struct Console {
    root: PathBuf,
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The command, for the report of a failure.
    pub command: String,
    /// Exit code: 0 ok, 1 warnings, 2 error.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Turns words into arguments: `["run", "etc"]`.
pub fn words<I: IntoIterator<Item = S>, S: Into<Word>>(arguments: I) -> Vec<OsString> {
    arguments.into_iter().map(|word| word.into().0).collect()
}

/// One argument; bytes need not be UTF-8.
#[derive(Debug)]
pub struct Word(OsString);

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}
impl From<String> for Word {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}
impl From<&String> for Word {
    fn from(text: &String) -> Self {
        Self(text.into())
    }
}
impl From<&Path> for Word {
    fn from(path: &Path) -> Self {
        Self(path.into())
    }
}
impl From<&PathBuf> for Word {
    fn from(path: &PathBuf) -> Self {
        Self(path.into())
    }
}
impl From<Vec<u8>> for Word {
    fn from(bytes: Vec<u8>) -> Self {
        Self(OsString::from_vec(bytes))
    }
}

/// Arguments of different kinds: `args!["restore", path, "--to", "/x"]`.
#[macro_export]
macro_rules! args {
    ($($word:expr),* $(,)?) => {
        vec![$($crate::console::Word::from($word)),*]
    };
}

impl Console {
    /// For the installation in `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Runs a command; any exit code is fine.
    ///
    /// # Panics
    /// When the console cannot be started.
    pub fn run<I: IntoIterator<Item = S>, S: Into<Word>>(&self, arguments: I) -> Reply {
        let mut command = Command::new(Program::Console.path());
        command.arg("--root").arg(&self.root);
        Self::finish(command, &words(arguments))
    }

    /// `holdfast up` with these arguments; the daemons it starts can write below `folder` and /tmp only.
    ///
    /// # Panics
    /// When the console cannot be started.
    pub fn up<I: IntoIterator<Item = S>, S: Into<Word>>(&self, folder: &Path, more: I) -> Reply {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "slave",
                "sh",
                "-c",
                CAGE,
                "cage",
            ])
            .arg(folder)
            .arg(Program::Console.path())
            .arg("--root")
            .arg(&self.root)
            .arg("up");
        Self::finish(command, &words(more))
    }

    fn finish(mut command: Command, arguments: &[OsString]) -> Reply {
        command.args(arguments).stdin(Stdio::null());
        let done = command.output().expect("the console can be started");
        let shown: Vec<_> = arguments
            .iter()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        Reply {
            command: format!("holdfast {}", shown.join(" ")),
            code: done.status.code().unwrap_or(-1),
            out: String::from_utf8(done.stdout).expect("the console prints UTF-8"),
            err: String::from_utf8(done.stderr).expect("the console prints UTF-8"),
        }
    }

    /// Runs a command that must end with 0.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn ok<I: IntoIterator<Item = S>, S: Into<Word>>(&self, arguments: I) -> Reply {
        self.run(arguments).expect_code(0)
    }

    /// Runs a command with `--json` that must end with 0.
    ///
    /// # Panics
    /// When it does not, or says no JSON.
    #[track_caller]
    pub fn json<I: IntoIterator<Item = S>, S: Into<Word>>(&self, arguments: I) -> Value {
        let arguments = words(arguments).into_iter().chain(["--json".into()]);
        self.run(arguments.map(Word)).expect_code(0).json()
    }
}

impl Reply {
    /// Itself, when the exit code is this one.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(self.code == code, "exit code {code} expected of {self}");
        self
    }

    /// Itself, when output or errors hold this text.
    ///
    /// # Panics
    /// When they do not.
    #[track_caller]
    #[must_use]
    pub fn expect_text(self, text: &str) -> Self {
        assert!(self.says(text), "{text:?} expected of {self}");
        self
    }

    /// Whether output or errors hold this text.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        self.out.contains(text) || self.err.contains(text)
    }

    /// The output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("JSON expected ({e}) of {self}"))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}`: exit code {}\n{}\n{}",
            self.command, self.code, self.out, self.err
        )
    }
}
