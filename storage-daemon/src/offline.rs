//! `volume list` and `volume verify`: what lies on the volumes, with no Director and no index. The daemon must not run.

use std::io::{self, Write};

use crate::config::Config;
use crate::daemon::command_line::VolumeCommand;
use crate::device::DeviceError;
use crate::device::disk::DiskDevice;
use crate::volume::ReadError;
use crate::volume::audit::audit;
use crate::volume::set::{Making, VolumeSet};

/// Why the tool stopped.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// A device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A volume could not be opened.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nowhere to print.
    #[error("cannot print")]
    Print(#[from] io::Error),
}

fn open(config: &Config) -> Result<VolumeSet, ToolError> {
    let device = DiskDevice::open(&config.volumes)?;
    let making = Making {
        storage: uuid::Uuid::nil(),
        max_bytes: config.max_volume_bytes,
    };
    Ok(VolumeSet::open(std::sync::Arc::new(device), making)?)
}

/// Does what was asked; returns whether all is well.
///
/// # Errors
/// [`ToolError`]
pub fn look(
    command: VolumeCommand,
    config: &Config,
    out: &mut dyn Write,
) -> Result<bool, ToolError> {
    match command {
        VolumeCommand::List => list(config, out).map(|()| true),
        VolumeCommand::Verify => verify(config, out),
    }
}

/// One line per volume.
///
/// # Errors
/// [`ToolError`]
pub fn list(config: &Config, out: &mut dyn Write) -> Result<(), ToolError> {
    writeln!(out, "{:<16} {:>14}  {:<12} uuid", "name", "bytes", "pool")?;
    for volume in open(config)?.list() {
        let label = &volume.label;
        writeln!(
            out,
            "{:<16} {:>14}  {:<12} {}",
            label.name(),
            volume.bytes,
            label.pool,
            label.uuid
        )?;
    }
    Ok(())
}

/// Reads every byte of every volume; returns whether all is well.
///
/// # Errors
/// [`ToolError`]
pub fn verify(config: &Config, out: &mut dyn Write) -> Result<bool, ToolError> {
    let set = open(config)?;
    let mut is_whole = true;
    for volume in set.list() {
        let label = &volume.label;
        let found = audit(set.file(label.number)?.as_ref(), label.uuid)?;
        let state = if found.is_sealed { "sealed" } else { "open" };
        let name = label.name();
        writeln!(
            out,
            "{name}: {} blocks, {} chunks and pages, {state}",
            found.blocks, found.ids
        )?;
        for damage in &found.damage {
            is_whole = false;
            writeln!(
                out,
                "{name}: damage at offset {}: {}",
                damage.offset, damage.reason
            )?;
        }
    }
    Ok(is_whole)
}
