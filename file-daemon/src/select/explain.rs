//! `fileset test PATH`: the decision about a path with everything above it, in a sentence.

use common::name::Shown;
use common::object::entry::Kind;

use super::decision::{Decision, Facts, Reason, Verdict};
use super::selector::Selector;

impl Selector {
    /// Says whether `path` is saved, and which line decides, looking at every directory above it as a walk would.
    /// `facts` are those of the path itself, when it exists; without them it is taken for an ordinary file.
    #[must_use]
    pub fn explain(&self, path: &[u8], facts: Option<&Facts>) -> String {
        let mut parent = Verdict::Implied;
        for (at, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/') {
            let above = path.get(..at.max(1)).unwrap_or(path);
            if above == path {
                break;
            }
            let decision = self.decide(parent, above, &Facts::directory());
            if decision.verdict == Verdict::Exclude {
                return format!(
                    "{} is left out, because the directory {} above it is: {}",
                    Shown(path),
                    Shown(above),
                    self.why(&decision)
                );
            }
            parent = decision.verdict;
        }
        let decision = match facts {
            Some(facts) => self.decide(parent, path, facts),
            None => self.decide(parent, path, &self.ordinary(path)),
        };
        let verb = match decision.verdict {
            Verdict::Save => "is saved",
            Verdict::Implied => "is kept as a bare directory",
            Verdict::Exclude => "is left out",
        };
        format!("{} {verb}: {}", Shown(path), self.why(&decision))
    }

    /// A file no size limit speaks about, for paths nobody looked at.
    fn ordinary(&self, path: &[u8]) -> Facts {
        let size_bytes = self.include_of(path).map_or(0, |i| i.min_size);
        Facts {
            kind: Kind::File,
            size_bytes,
            nodump: false,
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn why(&self, decision: &Decision) -> String {
        match decision.reason {
            Reason::Include(n) => format!("it is {}", self.include_shown(n)),
            Reason::Below(n) => {
                format!("no rule matches, and it is below {}", self.include_shown(n))
            }
            Reason::Rule(n) => format!("the first rule that matches is {}", self.rules.shown(n)),
            Reason::NotIncluded => "it is below none of the includes".into(),
            Reason::OnTheWay => "it is only the way to an include below it".into(),
            Reason::OwnFolder => {
                "it belongs to Holdfast itself, which never saves its own folders".into()
            }
            Reason::TooSmall => "it is smaller than min_size".into(),
            Reason::TooLarge => "it is larger than max_size".into(),
            Reason::NoDump => "it has the no-dump flag and the include honours it".into(),
            Reason::Marker(_) => "its directory holds a marker of exclude_if_present".into(),
            Reason::CacheDirectory => "its directory is marked as a cache by CACHEDIR.TAG".into(),
        }
    }

    fn include_shown(&self, ordinal: usize) -> String {
        let path = self.includes.path(ordinal).unwrap_or_default();
        format!("include {}", Shown(path))
    }
}
