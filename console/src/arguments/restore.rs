//! Arguments of `restore`.

use std::ffi::OsString;

use clap::{ArgGroup, Args, ValueEnum};
use common::api::restore::Replace;
use common::ids::JobId;

/// `restore`
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("point").args(["at", "saved_by"]),
    group = ArgGroup::new("target").args(["to", "in_place"]),
    group = ArgGroup::new("mode").args(["dry_run", "compare"]),
    after_help = "\
Examples:
  holdfast restore web01:/home/a                        newest, to a new folder in /tmp there
  holdfast restore web01 --path /home/a --to /tmp/r
  holdfast restore web01 --path /home/a --at '2026-11-20 10:00'
  holdfast restore web01 --path /home --at 17 --in-place --replace if-newer
  holdfast restore web01 --saved-by 17                  only what run 17 saved
  holdfast restore web01:/home --glob '**/*.odt' --to-client web02 --to /srv/r
  holdfast restore --job etc --to /tmp/back             a whole snapshot
  holdfast restore web01:/home --compare                with the disk; a difference is a warning
  holdfast restore web01:/home --in-place --dry-run     what would happen

Saved output of a FileSet's command goes back into the command (`write`) with --in-place,
and becomes a plain file anywhere else.

Nothing is overwritten unless --in-place or --to says so. Progress is shown until it is over
(--no-wait: not), the exit code is the restore's."
)]
pub struct RestoreArgs {
    /// Client the files are of, or client:/path; further /paths
    #[arg(value_name = "CLIENT[:/PATH]")]
    pub places: Vec<OsString>,
    /// Client the files are of, the same as the first word
    #[arg(long)]
    pub client: Option<String>,
    /// Job, when the client has several
    #[arg(long)]
    pub job: Option<String>,
    /// This path with all below (may be repeated; nothing = everything)
    #[arg(long, value_name = "PATH")]
    pub path: Vec<OsString>,
    /// Paths that match this glob: * stays within a name, ** does not (may be repeated)
    #[arg(long)]
    pub glob: Vec<String>,
    /// Paths that match this regular expression (may be repeated)
    #[arg(long)]
    pub regex: Vec<String>,
    /// Leave out this path with all below (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub exclude: Vec<OsString>,
    /// The tree as of this run or time [default: newest]
    #[arg(long, value_name = "ID|TIME")]
    pub at: Option<String>,
    /// Only what this run saved
    #[arg(long, value_name = "ID")]
    pub saved_by: Option<JobId>,
    /// Folder that takes the files, on the client; made when missing
    #[arg(long, value_name = "DIR")]
    pub to: Option<OsString>,
    /// Where the files were
    #[arg(long)]
    pub in_place: bool,
    /// Another client takes the files
    #[arg(long, value_name = "CLIENT")]
    pub to_client: Option<String>,
    /// Leading path that is dropped, e.g. /home/a
    #[arg(long, value_name = "PATH")]
    pub strip: Option<OsString>,
    /// Path put in front of what is left
    #[arg(long, value_name = "PATH")]
    pub prefix: Option<OsString>,
    /// What happens to a file that exists
    #[arg(long, value_enum, default_value_t)]
    pub replace: ReplaceArg,
    /// Remove what the snapshot does not hold, inside the restored folders. Spared: what the snapshot's FileSet leaves out
    /// (rules, markers, limits), what is mounted there, folders of Holdfast, and everything beside an include. Try it with
    /// --dry-run
    #[arg(long)]
    pub exact: bool,
    /// Only say what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Compare the snapshot with what is there; writes nothing
    #[arg(long)]
    pub compare: bool,
    /// Start it and go
    #[arg(long)]
    pub no_wait: bool,
}

/// What happens to a file that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReplaceArg {
    /// Replaced
    #[default]
    Always,
    /// Replaced when the restored one has the later mtime
    IfNewer,
    /// Replaced when the restored one has the earlier mtime
    IfOlder,
    /// Replaced when size or mtime differ
    IfChanged,
    /// Kept
    Never,
}

impl From<ReplaceArg> for Replace {
    fn from(replace: ReplaceArg) -> Self {
        match replace {
            ReplaceArg::Always => Self::Always,
            ReplaceArg::IfNewer => Self::IfNewer,
            ReplaceArg::IfOlder => Self::IfOlder,
            ReplaceArg::IfChanged => Self::IfChanged,
            ReplaceArg::Never => Self::Never,
        }
    }
}
