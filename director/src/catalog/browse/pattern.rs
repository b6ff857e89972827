//! Name patterns of a search: shell globs on bytes. PURE.
//!
//! PostgreSQL gets a LIKE that lets through at least what matches; the exact answer is given here.

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1024;

/// Why a pattern is none.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Nothing, or too long.
    #[error("a name pattern has 1 to {MAX_PATTERN_BYTES} bytes")]
    Length,
    /// Not a glob.
    #[error("not a name pattern: {text:?}")]
    Glob {
        /// As given.
        text: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A glob over names: `*`, `?`, `[a-z]`, `{a,b}`, backslash escapes. Without any of them it matches the name exactly.
#[derive(Debug, Clone)]
pub struct NamePattern {
    regex: Regex,
    like: Vec<u8>,
}

impl NamePattern {
    /// Reads a glob.
    ///
    /// # Errors
    /// When it is none.
    pub fn glob(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::Length);
        }
        let fail = |source: Box<dyn std::error::Error + Send + Sync>| PatternError::Glob {
            text: text.to_owned(),
            source,
        };
        let glob = globset::GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|e| fail(Box::new(e)))?;
        let regex = RegexBuilder::new(glob.regex())
            .dot_matches_new_line(true)
            .build()
            .map_err(|e| fail(Box::new(e)))?;
        Ok(Self {
            regex,
            like: like_of(text),
        })
    }

    /// Whether a name matches.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.regex.is_match(name)
    }

    /// A LIKE pattern that every matching name satisfies.
    pub(super) fn like(&self) -> &[u8] {
        &self.like
    }
}

/// Plain characters stand for themselves; from the first bracket or brace on nothing is promised but the end.
fn like_of(glob: &str) -> Vec<u8> {
    let mut like = Vec::with_capacity(glob.len().saturating_add(8));
    let mut characters = glob.chars();
    while let Some(c) = characters.next() {
        match c {
            '*' | '?' => like.push(b'%'),
            '[' | '{' => {
                like.push(b'%');
                break;
            }
            '\\' => put_literal(&mut like, characters.next().unwrap_or('\\')),
            c => put_literal(&mut like, c),
        }
    }
    like
}

fn put_literal(like: &mut Vec<u8>, c: char) {
    if matches!(c, '%' | '_' | '\\') {
        like.push(b'\\');
    }
    like.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
