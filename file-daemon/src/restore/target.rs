//! The folder that takes a restore: made when missing, opened once, checked against what the client permits.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use common::name::Shown;
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::order::{OrderError, Plan};

/// A target folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Cannot be made or opened.
    #[error("cannot open the target folder {}", Shown(path))]
    Open {
        /// The folder.
        path: Vec<u8>,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It leads, by links, to a place that is not permitted.
    #[error(transparent)]
    Refused(#[from] OrderError),
}

/// Opens the target folder of `plan`.
///
/// # Errors
/// [`TargetError`]
pub fn open(plan: &Plan, permit: &[Vec<u8>], make: Missing) -> Result<OwnedFd, TargetError> {
    let failed = |source| TargetError::Open {
        path: plan.to.clone(),
        source,
    };
    let path = Path::new(OsStr::from_bytes(&plan.to));
    if make == Missing::Make {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)
            .map_err(failed)?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = openat(CWD, path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
    // The operator's own links are followed, but not to where this client lets nobody restore.
    if let Ok(real) = std::fs::read_link(format!("/proc/self/fd/{}", handle.as_raw_fd())) {
        plan.check_permit(real.as_os_str().as_bytes(), permit)?;
    }
    Ok(handle)
}

/// For a dry run to a folder that is not there: the nearest one above that is, with the rest as names to be made.
#[must_use]
pub fn nearest(mut plan: Plan) -> Plan {
    let mut missing = Vec::new();
    // What cannot be looked at is for `open` to complain about.
    while !Path::new(OsStr::from_bytes(&plan.to))
        .try_exists()
        .unwrap_or(true)
    {
        let Some(slash) = plan.to.iter().rposition(|b| *b == b'/') else {
            break;
        };
        let name = plan.to.split_off(slash.saturating_add(1));
        if name.is_empty() {
            break;
        }
        missing.push(name);
        plan.to.truncate(slash.max(1));
    }
    missing.reverse();
    missing.append(&mut plan.prefix);
    plan.prefix = missing;
    plan
}

/// What to do with a folder that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Make it with those above it.
    Make,
    /// Fail.
    Fail,
}
