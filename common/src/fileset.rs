//! FileSet as it is sent to a client: what to save and what to leave out.
//!
//! Rules are ordered; the first that matches decides. A path below no include is never saved. docs/filesets.md tells the
//! whole story to administrators.

use prost::Message;
use serde::{Deserialize, Serialize};

/// What to save.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
pub struct FileSet {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Folders and files that are saved with all below, each with its own options.
    #[prost(message, repeated, tag = "2")]
    pub includes: Vec<Include>,
    /// Ordered rules over absolute paths; the first match wins; none = saved.
    #[prost(message, repeated, tag = "3")]
    pub rules: Vec<Rule>,
    /// Commands whose output is saved as files.
    #[prost(message, repeated, tag = "4")]
    pub commands: Vec<Command>,
}

/// One place to save.
#[derive(Clone, PartialEq, Eq, Message, Serialize, Deserialize)]
pub struct Include {
    /// Absolute path as bytes, without `.`, `..` or a final `/`.
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// Descend into other file systems below this path (default: stay, with a notice per mount left out).
    #[prost(bool, tag = "2")]
    pub cross_file_systems: bool,
    /// A directory holding an entry of one of these names is kept as an empty directory (with the marker).
    #[prost(string, repeated, tag = "3")]
    pub exclude_if_present: Vec<String>,
    /// Leave out the content of directories with a valid CACHEDIR.TAG.
    #[prost(bool, tag = "4")]
    pub skip_caches: bool,
    /// Leave out files with the no-dump flag.
    #[prost(bool, tag = "5")]
    pub honour_nodump: bool,
    /// Files smaller than this are left out; 0 = no limit.
    #[prost(uint64, tag = "6")]
    pub min_size: u64,
    /// Files larger than this are left out; 0 = no limit.
    #[prost(uint64, tag = "7")]
    pub max_size: u64,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Action {
    /// Leave out (a directory: with all below).
    Exclude = 0,
    /// Save.
    Include = 1,
}

/// One rule.
#[derive(Clone, PartialEq, Eq, Message, Serialize, Deserialize)]
pub struct Rule {
    /// [`Action`]
    #[prost(enumeration = "Action", tag = "1")]
    pub action: i32,
    /// A glob over the absolute path (`*` stays within a name, `**` crosses; without `/` it matches the name alone).
    #[prost(string, tag = "2")]
    pub glob: String,
    /// A regular expression over the absolute path's bytes; exactly one of `glob` and `regex` is set.
    #[prost(string, tag = "3")]
    pub regex: String,
    /// Where it stands in the configuration (`file:line`), for `fileset test`.
    #[prost(string, tag = "4")]
    pub origin: String,
}

/// A command whose output is saved as a file.
#[derive(Clone, PartialEq, Eq, Message, Serialize, Deserialize)]
pub struct Command {
    /// Absolute path it is saved under.
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// Program and arguments, no shell.
    #[prost(string, repeated, tag = "2")]
    pub read: Vec<String>,
    /// Program and arguments that take the content on restore; empty = restore as a plain file.
    #[prost(string, repeated, tag = "3")]
    pub write: Vec<String>,
}
