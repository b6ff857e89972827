//! Processes: a daemon started directly, and whether one is alive.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::binaries::Program;
use crate::console::Reply;
use crate::wait;

/// Starts a daemon directly, as a service manager does; gives how it ended, when it ends within the limit.
///
/// # Panics
/// When it does not end in time.
#[must_use]
pub fn run_daemon(program: Program, arguments: &[&str], limit: Duration) -> Reply {
    use std::process::{Command, Stdio};
    let mut command = Command::new(program.path());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("a daemon can be started");
    let pid = Pid::from_child(&child);
    let killer = std::thread::spawn({
        let name = program.name();
        move || {
            let ended = !wait::never(limit, || !is_alive(pid));
            if !ended {
                let _ = kill_process(pid, Signal::KILL);
            }
            assert!(ended, "{name} did not end within {limit:?}");
        }
    });
    let done = child.wait_with_output().expect("a child can be waited for");
    killer.join().expect("it ended in time");
    Reply {
        command: format!("{} {}", program.name(), arguments.join(" ")),
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// Whether a process runs; one that ended and was not waited for does not.
#[must_use]
pub fn is_alive(pid: Pid) -> bool {
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}
