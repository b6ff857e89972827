//! `down`: client, storage, Director, each given its time to finish.

use serde::Serialize;

use super::process::{running, stop};
use super::{Daemon, Layout, MachineError};
use crate::arguments::DownArgs;

/// A daemon that `down` looked at.
#[derive(Debug, Serialize)]
pub struct Stopped {
    /// Which.
    pub daemon: &'static str,
    /// Its process; absent when it did not run.
    pub pid: Option<u32>,
}

/// Stops the daemons of an installation.
///
/// # Errors
/// When one still runs after its time; those before it are stopped.
pub async fn down(layout: &Layout, arguments: &DownArgs) -> Result<Vec<Stopped>, MachineError> {
    if !layout.root().is_dir() {
        return Err(MachineError::Refused(format!(
            "{} does not exist: there is no installation here\n  --root names the folder of another",
            layout.root().display()
        )));
    }
    let _lock = layout.lock()?;
    let mut done = Vec::new();
    for daemon in Daemon::chosen(arguments.only).into_iter().rev() {
        let pid = running(layout, daemon);
        if let Some(pid) = pid {
            stop(layout, daemon, pid).await?;
        }
        done.push(Stopped {
            daemon: daemon.title(),
            pid,
        });
    }
    Ok(done)
}
