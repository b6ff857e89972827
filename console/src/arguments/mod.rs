//! What can be typed: one struct per command, help that teaches by examples. No logic.

mod command;
mod files;
mod machines;
mod restore;
mod runs;
mod setup;
mod users;

pub use command::{Arguments, Command, CommonArgs};
pub use files::{FindArgs, LsArgs, Order, SnapshotsArgs, VersionsArgs};
pub use machines::{
    ClientAdd, ClientCommand, ClientName, ClientRevoke, StorageAdd, StorageCommand,
};
pub use restore::{ReplaceArg, RestoreArgs};
pub use runs::{
    CancelArgs, EstimateArgs, FilesetCommand, FilesetTestArgs, LevelArg, LogArgs, RunArgs,
    RunCommand, RunsArgs, ShowArgs,
};
pub use setup::{CompletionArgs, DetachArgs, DownArgs, Only, ProtectArgs, UpArgs};
pub use users::{UserCommand, UserRevoke, UserToken};
