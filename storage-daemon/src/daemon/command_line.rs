//! What can be said to `holdfast-storaged` on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The Holdfast Storage Daemon.
#[derive(Debug, Parser)]
#[command(name = "holdfast-storaged", version)]
pub struct Arguments {
    /// Its configuration; state, keys and volumes lie beside it.
    #[arg(long)]
    pub config: PathBuf,
    /// What to do; nothing = run.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Join an installation with a token that its administrator made.
    Enrol {
        /// The token.
        #[arg(long, env = "HOLDFAST_TOKEN")]
        token: String,
    },
    /// Check the configuration.
    CheckConfig,
    /// Look at the volumes while the daemon does not run.
    #[command(subcommand)]
    Volume(VolumeCommand),
}

/// What to do with volumes.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum VolumeCommand {
    /// List them.
    List,
    /// Read and check every byte of them.
    Verify,
}
