//! What the checks of one file share: its text for places, and the list of what is wrong.

use std::ops::Range;
use std::sync::Arc;

use common::config::{Place, Problem, Problems, Source, Spanned};

/// The file under check.
pub(super) struct Context<'a> {
    pub source: &'a Arc<Source>,
    pub problems: &'a mut Problems,
}

/// A checked resource and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    pub place: Place,
    pub value: T,
}

/// A name of another resource, with its place, for `resolve`.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub name: String,
    pub place: Place,
}

impl Context<'_> {
    pub fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.source, span)
    }

    pub fn wrong(
        &mut self,
        span: Range<usize>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let problem = Problem::new(self.place(span), reason).remedy(remedy);
        self.problems.push(problem);
    }

    pub fn reference(&self, name: &Spanned<String>) -> Reference {
        Reference {
            name: name.get_ref().clone(),
            place: self.place(name.span()),
        }
    }

    /// Names go into file names, certificates and reports: a narrow alphabet keeps all of them simple.
    pub fn check_name(&mut self, kind: &str, name: &Spanned<String>) {
        if !is_name(name.get_ref()) {
            self.wrong(
                name.span(),
                format!("{:?} cannot be the name of a {kind}", name.get_ref()),
                "use 1 to 63 of a-z A-Z 0-9 . _ - and start with a letter or digit",
            );
        }
    }
}

/// Whether a text can name a resource.
pub(super) fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
