//! Arguments of `run`, `runs`, `show`, `log`, `cancel`, `estimate`, `fileset`.

use std::ffi::OsString;

use clap::{Args, Subcommand, ValueEnum};
use common::api::runs::Level;
use common::ids::JobId;

/// `run`: starts a job; `run show|log|cancel ID` are the long forms of `show`, `log`, `cancel`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  holdfast run nightly                   starts it and says its JobId
  holdfast run nightly --wait            and shows progress until it is over
  holdfast run nightly --level full
  holdfast run nightly --client web01    one of the job's clients
  holdfast run show 17                   the same as holdfast show 17"
)]
pub struct RunArgs {
    /// Long forms.
    #[command(subcommand)]
    pub command: Option<RunCommand>,
    /// Name of the job
    #[arg(required = true)]
    pub job: Option<String>,
    /// One of its clients [default: all]
    #[arg(long)]
    pub client: Option<String>,
    /// What is read [default: as the job says]
    #[arg(long, value_enum)]
    pub level: Option<LevelArg>,
    /// Show progress until it is over; the exit code is the run's
    #[arg(long, short)]
    pub wait: bool,
}

/// Long forms.
#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// One run
    Show(ShowArgs),
    /// Log of a run
    Log(LogArgs),
    /// Stop a run
    Cancel(CancelArgs),
}

/// Level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LevelArg {
    /// Reads every file again
    Full,
    /// Reads what changed since the last Full
    Differential,
    /// Reads what changed since the last snapshot
    Incremental,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Full => Self::Full,
            LevelArg::Differential => Self::Differential,
            LevelArg::Incremental => Self::Incremental,
        }
    }
}

/// `runs`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast runs                          the last 50
  holdfast runs --failed                 error, canceled, incomplete
  holdfast runs --job nightly --since yesterday
  holdfast runs --running
  holdfast runs --limit 1000 --json")]
pub struct RunsArgs {
    /// Of this job
    #[arg(long)]
    pub job: Option<String>,
    /// On this client
    #[arg(long)]
    pub client: Option<String>,
    /// Those that ended in error, were canceled or broken off
    #[arg(long, group = "which")]
    pub failed: bool,
    /// Those that are not over
    #[arg(long, group = "which")]
    pub running: bool,
    /// Of these statuses, e.g. warnings,error
    #[arg(long, group = "which", value_name = "STATUS,...")]
    pub status: Option<String>,
    /// Not older than this
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Older than this
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// `show`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdfast show 17")]
pub struct ShowArgs {
    /// JobId of the run
    pub id: JobId,
}

/// `log`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast log 17
  holdfast log 17 -f               goes on until the run is over; the exit code is the run's
  holdfast log 17 --problems       warnings and errors only")]
pub struct LogArgs {
    /// JobId of the run
    pub id: JobId,
    /// Go on until the run is over
    #[arg(long, short)]
    pub follow: bool,
    /// Warnings and errors only
    #[arg(long)]
    pub problems: bool,
    /// Lines after this number
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub after: u64,
}

/// `cancel`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdfast cancel 17 --reason 'link is needed'")]
pub struct CancelArgs {
    /// JobId of the run
    pub id: JobId,
    /// Why, for the log
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `estimate`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast estimate nightly
  holdfast estimate nightly --client web01 --list 100")]
pub struct EstimateArgs {
    /// Name of the job
    pub job: String,
    /// One of its clients [default: the only one]
    #[arg(long)]
    pub client: Option<String>,
    /// List so many of the paths
    #[arg(long, default_value_t = 0, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub list: u32,
}

/// `fileset`
#[derive(Debug, Subcommand)]
pub enum FilesetCommand {
    /// Would this path be saved, and which rule says so?
    Test(FilesetTestArgs),
}

/// `fileset test`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdfast fileset test home web01:/home/a/x.tmp")]
pub struct FilesetTestArgs {
    /// Name of the FileSet
    pub fileset: String,
    /// client:/path
    #[arg(value_name = "CLIENT:/PATH")]
    pub place: OsString,
}
