//! The vocabulary of selection: the facts it needs, what it decides, and why.

use common::object::entry::Kind;

/// What the caller knows about a path from `lstat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// Apparent size in bytes.
    pub size_bytes: u64,
    /// Whether the no-dump flag (`chattr +d`) is set.
    pub nodump: bool,
}

impl Facts {
    /// Facts of a directory without flags.
    #[must_use]
    pub fn directory() -> Self {
        Self {
            kind: Kind::Directory,
            size_bytes: 0,
            nodump: false,
        }
    }
}

/// What happens to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is saved; a directory is entered.
    Save,
    /// A directory that is only the way to an include below it: kept as a bare directory; of its names only those of
    /// [`super::Selector::names_towards_includes`] are followed.
    Implied,
    /// Left out, a directory with all below.
    Exclude,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is an include itself: no rule leaves out what is listed by name.
    Include(usize),
    /// Below this include (ordinal in the FileSet), and no rule matched.
    Below(usize),
    /// This rule (ordinal in the FileSet) matched first.
    Rule(usize),
    /// Below no include.
    NotIncluded,
    /// On the way to an include.
    OnTheWay,
    /// One of Holdfast's own folders.
    OwnFolder,
    /// Smaller than the include's `min_size`.
    TooSmall,
    /// Larger than the include's `max_size`.
    TooLarge,
    /// It has the no-dump flag and the include honours it.
    NoDump,
    /// The directory holds a name of `exclude_if_present` (ordinal in that list).
    Marker(usize),
    /// The directory holds a valid `CACHEDIR.TAG`.
    CacheDirectory,
}

/// A verdict and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
}

impl Decision {
    /// Whether the path is saved for itself.
    #[must_use]
    pub fn saves(&self) -> bool {
        self.verdict == Verdict::Save
    }
}

/// Which names of a saved directory are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// All.
    All,
    /// Only the marker that says so: the directory is kept otherwise empty.
    OnlyMarker {
        /// Name of the marker.
        name: Vec<u8>,
        /// [`Reason::Marker`] or [`Reason::CacheDirectory`].
        reason: Reason,
    },
}
