//! Arguments of `snapshots`, `ls`, `find`, `versions`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

/// `snapshots`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast snapshots
  holdfast snapshots web01 --job nightly")]
pub struct SnapshotsArgs {
    /// Of this client
    pub client: Option<String>,
    /// Of this job
    #[arg(long)]
    pub job: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// Order of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Order {
    /// By name
    #[default]
    Name,
    /// Largest first
    Size,
    /// Newest first
    Time,
}

/// `ls`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast ls web01:/home                          as of the newest snapshot
  holdfast ls web01:/home --at 17                  the whole tree as of run 17
  holdfast ls web01:/home --at '2026-11-20 10:00'  the newest snapshot not later; the Director's zone
  holdfast ls /home --at 17                        the run says the client
  holdfast ls web01 --job nightly")]
pub struct LsArgs {
    /// client:/path, client, or /path (of the only client, or of the run that --at names)
    #[arg(value_name = "CLIENT:/PATH")]
    pub place: OsString,
    /// JobId or time
    #[arg(long, value_name = "ID|TIME")]
    pub at: Option<String>,
    /// Job, when several hold the path
    #[arg(long)]
    pub job: Option<String>,
    /// Order
    #[arg(long, value_enum, default_value_t)]
    pub sort: Order,
    /// Most entries
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
}

/// `find`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast find fstab                     in all snapshots of all clients
  holdfast find web01 '*.odt'
  holdfast find web01:/home '*.odt'       below /home
  holdfast find web01 '/home/*/.ssh/*'    a pattern with / is over whole paths
  holdfast find web01 '*.odt' --at 17     in the tree as of run 17")]
pub struct FindArgs {
    /// client or client:/path, then the pattern; the pattern alone searches all clients
    #[arg(required = true, num_args = 1..=2, value_name = "[CLIENT[:/PATH]] PATTERN")]
    pub words: Vec<OsString>,
    /// JobId or time
    #[arg(long, value_name = "ID|TIME")]
    pub at: Option<String>,
    /// Of this job
    #[arg(long)]
    pub job: Option<String>,
    /// Most hits
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
}

/// `versions`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast versions web01:/home/a.txt")]
pub struct VersionsArgs {
    /// client:/path
    #[arg(value_name = "CLIENT:/PATH")]
    pub place: OsString,
    /// Of this job
    #[arg(long)]
    pub job: Option<String>,
    /// Most versions
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}
