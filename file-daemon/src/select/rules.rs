//! The ordered rules of a FileSet, compiled into one glob set and one regex set. The lowest matching ordinal decides.
//!
//! A glob without `/` matches the last name alone; one with `/` the whole absolute path, `*` staying within a name.
//! A glob that ends in `/` matches directories only. Both sets run in time linear in the path, whatever the pattern.

use common::fileset::{Action, FileSet, Rule};
use common::object::entry::Kind;
use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};

use super::error::SelectError;

/// Most bytes the compiled regexes may take.
const REGEX_BYTES: usize = 16 << 20;

/// Compiled rules.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<One>,
    globs: GlobSet,
    /// Rule of each glob.
    glob_rules: Vec<usize>,
    regexes: RegexSet,
    /// Rule of each regex.
    regex_rules: Vec<usize>,
}

#[derive(Debug, Clone)]
struct One {
    action: Action,
    directories_only: bool,
    text: String,
    origin: String,
}

impl Rules {
    /// Compiles the rules of `fileset`.
    ///
    /// # Errors
    /// [`SelectError`] naming the rule.
    pub(super) fn new(fileset: &FileSet) -> Result<Self, SelectError> {
        let mut rules = Vec::with_capacity(fileset.rules.len());
        let (mut globs, mut glob_rules) = (GlobSetBuilder::new(), Vec::new());
        let (mut regexes, mut regex_rules) = (Vec::new(), Vec::new());
        for (ordinal, rule) in fileset.rules.iter().enumerate() {
            match (rule.glob.is_empty(), rule.regex.is_empty()) {
                (false, true) => {
                    globs.add(glob(rule)?);
                    glob_rules.push(ordinal);
                }
                (true, false) => {
                    regexes.push(checked_regex(rule)?);
                    regex_rules.push(ordinal);
                }
                _ => {
                    return Err(SelectError::OneOf {
                        origin: rule.origin.clone(),
                    });
                }
            }
            rules.push(one(rule)?);
        }
        let too_large = |reason: String| SelectError::TooLarge {
            fileset: fileset.name.clone(),
            reason,
        };
        Ok(Self {
            rules,
            globs: globs.build().map_err(|e| too_large(e.to_string()))?,
            glob_rules,
            regexes: RegexSetBuilder::new(&regexes)
                .unicode(false)
                .dot_matches_new_line(true)
                .size_limit(REGEX_BYTES)
                .build()
                .map_err(|e| too_large(e.to_string()))?,
            regex_rules,
        })
    }

    /// The first rule that matches, with its action.
    #[must_use]
    pub(super) fn first_match(&self, path: &[u8], kind: Kind) -> Option<(usize, Action)> {
        if self.rules.is_empty() {
            return None;
        }
        let candidate = Candidate::from_bytes(path);
        let mut first = usize::MAX;
        for hit in self.globs.matches_candidate(&candidate) {
            first = self.lower(first, self.glob_rules.get(hit), kind);
        }
        for hit in self.regexes.matches(path) {
            first = self.lower(first, self.regex_rules.get(hit), kind);
        }
        self.rules.get(first).map(|rule| (first, rule.action))
    }

    /// How rule `ordinal` reads in the configuration, and where it stands.
    pub(super) fn shown(&self, ordinal: usize) -> String {
        let Some(rule) = self.rules.get(ordinal) else {
            return format!("rule {}", ordinal.saturating_add(1));
        };
        let place = if rule.origin.is_empty() {
            format!("rule {}", ordinal.saturating_add(1))
        } else {
            rule.origin.clone()
        };
        format!("\"{}\" ({place})", rule.text)
    }

    fn lower(&self, first: usize, hit: Option<&usize>, kind: Kind) -> usize {
        let Some(&ordinal) = hit else { return first };
        let skip = kind != Kind::Directory
            && self
                .rules
                .get(ordinal)
                .is_some_and(|rule| rule.directories_only);
        if skip { first } else { first.min(ordinal) }
    }
}

fn one(rule: &Rule) -> Result<One, SelectError> {
    let action = Action::try_from(rule.action).map_err(|_| SelectError::Action {
        origin: rule.origin.clone(),
        action: rule.action,
    })?;
    let word = match action {
        Action::Exclude => "exclude",
        Action::Include => "include",
    };
    Ok(One {
        action,
        directories_only: rule.glob.ends_with('/'),
        text: if rule.regex.is_empty() {
            format!("{word} {}", rule.glob)
        } else {
            format!("{word} regex {}", rule.regex)
        },
        origin: rule.origin.clone(),
    })
}

fn glob(rule: &Rule) -> Result<globset::Glob, SelectError> {
    let text = rule.glob.strip_suffix('/').unwrap_or(&rule.glob);
    let anchored = text.contains('/');
    // `*` and plain text cannot match the slash every path starts with; `**`, classes and alternatives can.
    let starts_well = text.starts_with(['/', '{', '[', '\\']) || text.starts_with("**");
    if anchored && !starts_well {
        return Err(SelectError::Relative {
            origin: rule.origin.clone(),
            glob: rule.glob.clone(),
        });
    }
    let full = if anchored {
        text.to_owned()
    } else {
        format!("**/{text}")
    };
    GlobBuilder::new(&full)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|source| SelectError::Glob {
            origin: rule.origin.clone(),
            glob: rule.glob.clone(),
            source,
        })
}

/// Parses one regex alone, so that an error names its rule; the set compiles it again.
fn checked_regex(rule: &Rule) -> Result<&str, SelectError> {
    RegexBuilder::new(&rule.regex)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(REGEX_BYTES)
        .build()
        .map(|_| rule.regex.as_str())
        .map_err(|source| SelectError::Regex {
            origin: rule.origin.clone(),
            regex: rule.regex.clone(),
            source,
        })
}
