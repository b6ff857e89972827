//! Processes: which of ours run, starting one detached, stopping one.
//!
//! Invariant: a signal is sent only through a process handle taken before the proof that the process is ours.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::durable;
use common::name::Shown;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Daemon, Layout, MachineError, Programs, file};

/// Longest wait for a daemon to stop: it has 10 s to finish by itself.
const STOP: Duration = Duration::from_secs(15);
/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How much of a log's end is shown, in bytes and lines.
const TAIL_BYTES: u64 = 16 << 10;
const TAIL_LINES: usize = 15;

/// The process of a daemon of this installation, if it runs.
#[must_use]
pub fn running(layout: &Layout, daemon: Daemon) -> Option<u32> {
    let noted = std::fs::read_to_string(layout.pid_file(daemon)).ok();
    let noted = noted
        .and_then(|text| text.trim().parse().ok())
        .filter(|pid| is_ours(layout, daemon, *pid));
    // A daemon that a service manager or a person started has no pid file of ours.
    noted.or_else(|| all_pids().find(|pid| is_ours(layout, daemon, *pid)))
}

/// All processes that can be seen.
pub(super) fn all_pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether a process is this daemon: its program's name, and our configuration file among its arguments.
fn is_ours(layout: &Layout, daemon: Daemon, pid: u32) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = line.split(|b| *b == 0);
    let first = arguments.next().unwrap_or_default();
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    // A program that was replaced by an upgrade still runs under its old, deleted file.
    let program = exe.as_ref().map_or(first, |exe| exe.as_os_str().as_bytes());
    let program = program.strip_suffix(b" (deleted)").unwrap_or(program);
    let name = program.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let config = layout.config(daemon);
    name == daemon.program().as_bytes() && arguments.any(|a| a == config.as_os_str().as_bytes())
}

/// A daemon that was started now.
pub(super) struct Started {
    pub daemon: Daemon,
    pub child: Child,
}

/// Starts a daemon in a session of its own, its output appended to its log.
pub(super) fn start(
    layout: &Layout,
    programs: &Programs,
    daemon: Daemon,
) -> Result<Started, MachineError> {
    let program = programs.of(daemon)?;
    let log_path = layout.log(daemon);
    let log = File::options()
        .create(true)
        .append(true)
        .open(&log_path)
        .map_err(file("open", &log_path))?;
    let twin = log.try_clone().map_err(file("open", &log_path))?;
    let child = Command::new(programs.console())
        .arg("detach")
        .arg("--")
        .arg(&program)
        .arg("--config")
        .arg(layout.config(daemon))
        .current_dir(layout.root())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(twin)
        .spawn()
        .map_err(file("start", &program))?;
    let pid_path = layout.pid_file(daemon);
    let noted = durable::write_atomic(
        &pid_path,
        format!("{}\n", child.id()).as_bytes(),
        durable::PUBLIC,
    );
    let mut started = Started { daemon, child };
    if let Err(e) = noted {
        // Never a daemon that nobody could stop.
        let _ = started.child.kill();
        return Err(file("write", &pid_path)(e));
    }
    Ok(started)
}

/// `detach`: becomes the leader of a session, so that no terminal's end reaches it, then the program.
#[must_use]
pub fn become_daemon(program: &[OsString]) -> std::io::Error {
    let Some((name, arguments)) = program.split_first() else {
        return std::io::Error::from(std::io::ErrorKind::InvalidInput);
    };
    if let Err(e) = rustix::process::setsid() {
        return e.into();
    }
    Command::new(name).args(arguments).exec()
}

/// Tells a daemon to stop and waits until it is gone; removes its pid file.
pub(super) async fn stop(layout: &Layout, daemon: Daemon, pid: u32) -> Result<(), MachineError> {
    let path = layout.pid_file(daemon);
    let signal = |e: rustix::io::Errno| {
        MachineError::Refused(format!(
            "cannot stop the {} (pid {pid}): {e}",
            daemon.title()
        ))
    };
    let handle = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    match handle {
        Some(Ok(handle)) if is_ours(layout, daemon, pid) => {
            pidfd_send_signal(&handle, Signal::TERM).map_err(signal)?;
        }
        Some(Err(e)) if e != rustix::io::Errno::SRCH => return Err(signal(e)),
        _ => {}
    }
    let limit = Instant::now() + STOP;
    while is_ours(layout, daemon, pid) {
        if Instant::now() > limit {
            return Err(MachineError::StillRuns {
                what: daemon.title(),
                pid,
                log: layout.log(daemon),
            });
        }
        tokio::time::sleep(LOOK).await;
    }
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(file("remove", &path)(e)),
        _ => Ok(()),
    }
}

/// The end of a log since `from`, indented, harmless for a terminal.
pub(super) fn tail(log: &Path, from: u64) -> String {
    let text = read_tail(log, from).unwrap_or_default();
    let lines: Vec<&[u8]> = text
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        return "    (it is empty)".to_owned();
    }
    let last = lines.len().saturating_sub(TAIL_LINES);
    let shown: Vec<String> = lines
        .into_iter()
        .skip(last)
        .map(|line| format!("    {}", Shown(line)))
        .collect();
    shown.join("\n")
}

fn read_tail(log: &Path, from: u64) -> std::io::Result<Vec<u8>> {
    let mut log = File::open(log)?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
    let mut text = Vec::new();
    log.take(TAIL_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ours_by_program_and_configuration_only() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        assert_eq!(running(&layout, Daemon::Storage), None);
        std::fs::create_dir(layout.root().join("run")).unwrap();
        std::fs::write(
            layout.pid_file(Daemon::Storage),
            format!("{}\n", std::process::id()),
        )
        .unwrap();
        assert_eq!(
            running(&layout, Daemon::Storage),
            None,
            "a pid file alone proves nothing"
        );
    }

    #[test]
    fn the_tail_of_a_log_is_short_and_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        assert_eq!(tail(&log, 0), "    (it is empty)");
        std::fs::write(
            &log,
            (0..40)
                .map(|n| format!("line {n}\x1b[1m\n"))
                .collect::<String>(),
        )
        .unwrap();
        let shown = tail(&log, 0);
        assert_eq!(shown.lines().count(), TAIL_LINES);
        assert!(shown.ends_with("    line 39\\x1b[1m"));
    }
}
