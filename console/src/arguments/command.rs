//! The top of the command line: what holds for every command, and the list of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    CancelArgs, ClientCommand, CompletionArgs, DetachArgs, DownArgs, EstimateArgs, FilesetCommand,
    FindArgs, LogArgs, LsArgs, ProtectArgs, RestoreArgs, RunArgs, RunsArgs, ShowArgs,
    SnapshotsArgs, StorageCommand, UpArgs, UserCommand, VersionsArgs,
};

const TOP_HELP: &str = "\
First steps:
  holdfast up                                      all daemons and a catalog, on this machine
  holdfast protect /etc --daily 21:00 --keep 30d   a job with its FileSet and schedule
  holdfast run etc --wait                          now
  holdfast runs                                    what happened
  holdfast find fstab                              a file, in any snapshot
  holdfast restore --job etc --to /tmp/back        into a new folder

Times are shown in your zone; typed times without zone are the Director's. Paths are shown escaped
(\\xNN, \\\\) where a terminal could choke, and can be typed back so.
Exit codes: 0 ok, 1 warnings, 2 error. Every command takes --json.";

/// Holdfast's console: back up, look, restore.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = TOP_HELP, max_term_width = 100)]
pub struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonArgs {
    /// Folder of the installation [default: /var/lib/holdfast for root, else ~/.local/share/holdfast]
    #[arg(
        long,
        global = true,
        env = "HOLDFAST_ROOT",
        value_name = "DIR",
        help_heading = "For every command"
    )]
    pub root: Option<PathBuf>,
    /// Address of the Director, instead of those in console.toml
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        help_heading = "For every command"
    )]
    pub director: Option<String>,
    /// Answer as JSON on standard output
    #[arg(long, global = true, help_heading = "For every command")]
    pub json: bool,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start what is not running on this machine, and set it up the first time
    Up(UpArgs),
    /// Stop the daemons of this machine
    Down(DownArgs),
    /// What runs, what is stored, what needs a person
    Status,
    /// Check the configuration: all errors at once, with file and line
    #[command(
        name = "check-config",
        after_help = "Examples:\n  holdfast check-config\n  holdfast reload        take it into use"
    )]
    CheckConfig,
    /// Take a changed configuration into use; nothing changes when it has errors
    Reload,
    /// Client machines: add, list, check, replace, revoke
    #[command(subcommand)]
    Client(ClientCommand),
    /// Storage Daemons: add, list
    #[command(subcommand)]
    Storage(StorageCommand),
    /// API tokens of users: make, list, revoke
    #[command(subcommand)]
    User(UserCommand),
    /// Protect folders: write a job with its FileSet and schedule
    Protect(ProtectArgs),
    /// Jobs, with their last result and next run
    Jobs,
    /// Start a job now, or look at one run (`run show 17`, `run log 17`, `run cancel 17`)
    Run(RunArgs),
    /// Runs, newest first
    Runs(RunsArgs),
    /// One run: the five figures, counts, level and why
    Show(ShowArgs),
    /// Log of a run
    Log(LogArgs),
    /// Stop a run
    Cancel(CancelArgs),
    /// What can be restored
    Snapshots(SnapshotsArgs),
    /// A folder as it was
    Ls(LsArgs),
    /// Search names in all snapshots
    Find(FindArgs),
    /// All versions of a file
    Versions(VersionsArgs),
    /// What a job would save, asked of the client
    Estimate(EstimateArgs),
    /// FileSets: which rule decides about a path
    #[command(subcommand)]
    Fileset(FilesetCommand),
    /// Bring files back
    Restore(RestoreArgs),
    /// Completion for a shell
    Completion(CompletionArgs),
    /// Becomes a daemon: own session, then the program
    #[command(name = "detach", hide = true)]
    Detach(DetachArgs),
}
