//! What is wrong with a FileSet, in words that name the line to mend.

use common::name::Shown;

/// A FileSet that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// An include path is not absolute, or has `.`, `..` or empty parts.
    #[error(
        "include {} of file set {fileset:?} is not an absolute path without . and .. parts",
        Shown(path)
    )]
    IncludePath {
        /// Name of the FileSet.
        fileset: String,
        /// The path as given.
        path: Vec<u8>,
    },
    /// Two includes with the same path.
    #[error(
        "include {} stands twice in file set {fileset:?}: keep one",
        Shown(path)
    )]
    IncludeTwice {
        /// Name of the FileSet.
        fileset: String,
        /// The path.
        path: Vec<u8>,
    },
    /// A rule has neither or both of glob and regex.
    #[error("rule at {origin} needs exactly one of a glob and a regex")]
    OneOf {
        /// Where the rule stands.
        origin: String,
    },
    /// A rule's action is unknown to this version.
    #[error("rule at {origin} has action {action}, unknown to this version")]
    Action {
        /// Where the rule stands.
        origin: String,
        /// Its number.
        action: i32,
    },
    /// A glob with a `/` that can never match an absolute path.
    #[error(
        "glob {glob:?} at {origin} has a / but does not start with one, so it never matches: write \"/{glob}\" or \"**/{glob}\""
    )]
    Relative {
        /// Where the rule stands.
        origin: String,
        /// The glob.
        glob: String,
    },
    /// A glob that does not parse.
    #[error("glob {glob:?} at {origin} is not valid")]
    Glob {
        /// Where the rule stands.
        origin: String,
        /// The glob.
        glob: String,
        /// Why.
        source: globset::Error,
    },
    /// A regex that does not parse or is too large.
    #[error("regex {regex:?} at {origin} is not valid")]
    Regex {
        /// Where the rule stands.
        origin: String,
        /// The pattern.
        regex: String,
        /// Why.
        source: regex::Error,
    },
    /// All globs together, or all patterns together, are too large.
    #[error(
        "the rules of file set {fileset:?} are too large together: use fewer or simpler patterns ({reason})"
    )]
    TooLarge {
        /// Name of the FileSet.
        fileset: String,
        /// What the matcher said.
        reason: String,
    },
}
