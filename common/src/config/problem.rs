//! What is wrong with a configuration, in a form for people (with the line shown) and for programs.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::document::Source;

/// A place in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    source: Arc<Source>,
    span: Range<usize>,
}

impl Place {
    /// Byte range `span` of a file; cut to its length.
    #[must_use]
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let end = span.end.min(source.text.len());
        Self {
            span: span.start.min(end)..end,
            source: Arc::clone(source),
        }
    }

    /// The start of a file: for what is missing altogether.
    #[must_use]
    pub fn start_of(source: &Arc<Source>) -> Self {
        Self::new(source, 0..0)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        let before = self
            .source
            .text
            .as_bytes()
            .get(..self.span.start)
            .unwrap_or_default();
        1 + before.iter().filter(|b| **b == b'\n').count()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source.path.display(), self.line())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong, naming the object.
    pub reason: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Other places that belong to it, each with a word about it.
    pub also: Vec<(Place, String)>,
}

impl Problem {
    /// Something wrong at a place.
    #[must_use]
    pub fn new(place: Place, reason: impl Into<String>) -> Self {
        Self {
            place,
            reason: reason.into(),
            remedy: None,
            also: Vec::new(),
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = Some(text.into());
        self
    }

    /// With another place that belongs to it.
    #[must_use]
    pub fn also(mut self, place: Place, text: impl Into<String>) -> Self {
        self.also.push((place, text.into()));
        self
    }

    fn render(&self) -> String {
        let snippet = |place: &Place, kind: AnnotationKind, label: Option<String>| {
            let mut annotation = kind.span(place.span.clone());
            if let Some(label) = label {
                annotation = annotation.label(label);
            }
            Snippet::source(place.source.text.clone())
                .path(place.source.path.display().to_string())
                .annotation(annotation)
        };
        let mut group = Level::ERROR
            .primary_title(self.reason.clone())
            .element(snippet(&self.place, AnnotationKind::Primary, None));
        for (place, text) in &self.also {
            group = group.element(snippet(place, AnnotationKind::Context, Some(text.clone())));
        }
        if let Some(remedy) = &self.remedy {
            group = group.element(Level::HELP.message(remedy.clone()));
        }
        Renderer::plain().render(&[group])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)?;
        for (place, text) in &self.also {
            write!(f, " ({text}: {place})")?;
        }
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong: never empty where it is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// `value` when nothing is wrong.
    ///
    /// # Errors
    /// All that is wrong, sorted by file and line.
    pub fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        let key =
            |p: &Problem| -> (PathBuf, usize) { (p.place.path().to_owned(), p.place.span.start) };
        self.0.sort_by_key(key);
        Err(self)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{}\n", problem.render())?;
        }
        let count = self.0.len();
        write!(
            f,
            "{count} error{} in the configuration",
            if count == 1 { "" } else { "s" }
        )
    }
}

impl std::error::Error for Problems {}
