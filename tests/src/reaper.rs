//! Ends what a test leaves behind: daemons named by pid files, and its folder, also when the test itself is killed.
//!
//! A shell waits for the end of its standard input, which only the test holds open.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Kills only processes whose command line names the folder, so that a reused process id hurts nobody.
const SCRIPT: &str = r#"
trap '' TERM INT HUP
cat >/dev/null
for file in "$1"/*/run/*.pid "$1"/*/director/pg/postmaster.pid; do
    [ -f "$file" ] || continue
    pid=$(head -n 1 "$file" | tr -cd 0-9)
    [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$1" || continue
    kill -9 "$pid" 2>/dev/null
done
[ "$2" = keep ] && exit 0
grep -F " $1/" /proc/self/mounts | cut -d' ' -f2 | while read -r mount; do umount -l "$mount"; done
rm -rf -- "$1" 2>/dev/null || { chattr -R -f -i -a "$1"; rm -rf -- "$1"; }
"#;

/// Whether the folder stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It is removed.
    Remove,
    /// It stays, for a person to look at.
    Keep,
}

/// Waits beside the test.
#[derive(Debug)]
pub struct Reaper {
    shell: Child,
}

impl Reaper {
    /// Watches over the installation in `folder`.
    ///
    /// # Panics
    /// When there is no shell.
    #[must_use]
    pub fn watch(folder: &Path, afterwards: Afterwards) -> Self {
        let keep = if afterwards == Afterwards::Keep {
            "keep"
        } else {
            "remove"
        };
        // Out of the test's group: what ends the test must not end this.
        let shell = Command::new("setsid")
            .args(["sh", "-c", SCRIPT, "reaper"])
            .arg(folder)
            .arg(keep)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell can be started");
        Self { shell }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
