//! Selector: a FileSet ready to decide about paths.
//!
//! The walk asks top down from `/` and does not enter what was left out, so [`Selector::decide`] looks at one path only
//! and trusts what was decided about its directory. Never allocates when no rule matches.

use common::fileset::{Action, FileSet, Include};
use common::object::entry::Kind;

use super::decision::{Contents, Decision, Facts, Reason, Verdict};
use super::error::SelectError;
use super::includes::{Includes, Standing, normalise, tail_below};
use super::rules::Rules;

/// The file that marks a directory as a cache, see [`Selector::contents`].
pub const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
/// What [`CACHE_TAG`] must begin with to count (the Cache Directory Tagging convention).
pub const CACHE_TAG_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// A compiled FileSet.
#[derive(Debug, Clone)]
pub struct Selector {
    pub(super) includes: Includes,
    pub(super) rules: Rules,
    own_folders: Vec<Vec<u8>>,
}

impl Selector {
    /// Compiles a FileSet.
    ///
    /// # Errors
    /// [`SelectError`] naming what to mend.
    pub fn new(fileset: &FileSet) -> Result<Self, SelectError> {
        let mut includes: Vec<Include> = Vec::with_capacity(fileset.includes.len());
        for include in &fileset.includes {
            let Some(path) = normalise(&include.path) else {
                let path = include.path.clone();
                return Err(SelectError::IncludePath {
                    fileset: fileset.name.clone(),
                    path,
                });
            };
            if includes.iter().any(|i| i.path == path) {
                return Err(SelectError::IncludeTwice {
                    fileset: fileset.name.clone(),
                    path,
                });
            }
            includes.push(Include {
                path,
                ..include.clone()
            });
        }
        Ok(Self {
            includes: Includes::new(includes),
            rules: Rules::new(fileset)?,
            own_folders: Vec::new(),
        })
    }

    /// Adds Holdfast's own folders on this host (absolute, links resolved): never saved, whatever the FileSet says.
    #[must_use]
    pub fn without_own_folders(mut self, folders: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.own_folders
            .extend(folders.into_iter().filter_map(|f| normalise(&f)));
        self
    }

    /// Decides about one path in a directory that was decided `parent` ([`Verdict::Implied`] for `/` itself).
    #[must_use]
    pub fn decide(&self, parent: Verdict, path: &[u8], facts: &Facts) -> Decision {
        let alone = self.decide_alone(path, facts);
        let decision = match (parent, alone.reason) {
            (Verdict::Save, _) | (_, Reason::Include(_) | Reason::OwnFolder) => alone,
            // What lies in a directory that is only the way is not wanted, unless it is an include or leads to one.
            _ => Decision {
                verdict: Verdict::Exclude,
                reason: Reason::NotIncluded,
            },
        };
        let way = decision.verdict == Verdict::Exclude
            && decision.reason != Reason::OwnFolder
            && facts.kind == Kind::Directory
            && self.includes.any_below(path);
        if way {
            Decision {
                verdict: Verdict::Implied,
                reason: Reason::OnTheWay,
            }
        } else {
            decision
        }
    }

    /// Which names of the saved directory `path` count. `present` says whether a name exists in it; `cache_tag` whether
    /// its `CACHEDIR.TAG` is a regular file that begins with [`CACHE_TAG_SIGNATURE`] (asked only when it matters).
    #[must_use]
    pub fn contents(
        &self,
        path: &[u8],
        present: &dyn Fn(&[u8]) -> bool,
        cache_tag: &dyn Fn() -> bool,
    ) -> Contents {
        let Some((_, include)) = self.includes.of(path) else {
            return Contents::All;
        };
        let marker = include
            .exclude_if_present
            .iter()
            .position(|name| present(name.as_bytes()));
        if let Some(ordinal) = marker {
            let name = include
                .exclude_if_present
                .get(ordinal)
                .cloned()
                .unwrap_or_default();
            return Contents::OnlyMarker {
                name: name.into_bytes(),
                reason: Reason::Marker(ordinal),
            };
        }
        if include.skip_caches && present(CACHE_TAG) && cache_tag() {
            return Contents::OnlyMarker {
                name: CACHE_TAG.to_vec(),
                reason: Reason::CacheDirectory,
            };
        }
        Contents::All
    }

    /// The options that hold at `path`: those of the nearest include at or above it.
    #[must_use]
    pub fn include_of(&self, path: &[u8]) -> Option<&Include> {
        self.includes.of(path).map(|(_, include)| include)
    }

    /// The includes in order of their paths.
    #[must_use]
    pub fn includes(&self) -> Vec<&Include> {
        self.includes.by_path()
    }

    /// The names in directory `path` that lead to includes below it, sorted; for directories that are only the way.
    #[must_use]
    pub fn names_towards_includes(&self, path: &[u8]) -> Vec<&[u8]> {
        self.includes.names_below(path)
    }

    /// The decision as if the parent were saved, not knowing of includes further below.
    fn decide_alone(&self, path: &[u8], facts: &Facts) -> Decision {
        let exclude = |reason| Decision {
            verdict: Verdict::Exclude,
            reason,
        };
        let save = |reason| Decision {
            verdict: Verdict::Save,
            reason,
        };
        if self
            .own_folders
            .iter()
            .any(|own| tail_below(own, path).is_some())
        {
            return exclude(Reason::OwnFolder);
        }
        let (ordinal, include) = match self.includes.standing(path) {
            Standing::Itself(ordinal) => return save(Reason::Include(ordinal)),
            Standing::Outside => return exclude(Reason::NotIncluded),
            Standing::Below(ordinal, include) => (ordinal, include),
        };
        let rule = self.rules.first_match(path, facts.kind);
        if let Some((rule, Action::Exclude)) = rule {
            return exclude(Reason::Rule(rule));
        }
        if let Some(reason) = beyond_limits(include, facts) {
            return exclude(reason);
        }
        save(rule.map_or(Reason::Below(ordinal), |(rule, _)| Reason::Rule(rule)))
    }
}

/// Size limits hold for regular files; the no-dump flag for everything.
fn beyond_limits(include: &Include, facts: &Facts) -> Option<Reason> {
    if include.honour_nodump && facts.nodump {
        return Some(Reason::NoDump);
    }
    if facts.kind != Kind::File {
        return None;
    }
    if include.min_size > 0 && facts.size_bytes < include.min_size {
        return Some(Reason::TooSmall);
    }
    (include.max_size > 0 && facts.size_bytes > include.max_size).then_some(Reason::TooLarge)
}
