//! Reads one TOML file into a structure and goes on behind errors.
//!
//! serde stops at its first error. So a document that failed is read again without the key that failed, until it
//! reads or nothing is left to take out: each round adds one problem, and all are reported together.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::problem::{Place, Problem, Problems};
use super::suggest::did_you_mean;

/// More problems than this in one file are not reported.
const MAX_PROBLEMS: usize = 50;
/// A configuration file larger than this is a mistake.
const MAX_BYTES: u64 = 16 << 20;

/// A file and its text, kept for messages.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it was read.
    pub path: PathBuf,
    /// What it said.
    pub text: String,
}

/// Why a configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("read configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was read and is wrong.
    #[error("{0}")]
    Wrong(Problems),
}

impl Source {
    /// Reads a file of at most 16 MiB.
    ///
    /// # Errors
    /// Not readable, too large, or not UTF-8.
    pub fn read(path: &Path) -> Result<Arc<Self>, LoadError> {
        let read = || {
            let size = std::fs::metadata(path)?.len();
            if size > MAX_BYTES {
                return Err(std::io::Error::other(format!(
                    "{size} bytes are too many, 16 MiB is the limit"
                )));
            }
            std::fs::read_to_string(path)
        };
        match read() {
            Ok(text) => Ok(Self::from_text(path, text)),
            Err(source) => Err(LoadError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// A text that is or will be the file `path`.
    #[must_use]
    pub fn from_text(path: &Path, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            text: text.into(),
        })
    }
}

/// Reads a file into `T`.
///
/// # Errors
/// Not readable, or all that is wrong in it.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<(T, Arc<Source>), LoadError> {
    let source = Source::read(path)?;
    let mut problems = Problems::default();
    let value = parse(&source, &mut problems);
    match (value, problems.or(())) {
        (Some(value), Ok(())) => Ok((value, source)),
        (_, Err(problems)) => Err(LoadError::Wrong(problems)),
        (None, Ok(())) => Err(LoadError::Wrong(Problems(vec![Problem::new(
            Place::start_of(&source),
            "the file holds no usable configuration",
        )]))),
    }
}

/// Reads a text into `T` and adds all that is wrong; what could be read is returned for further checks.
pub fn parse<T: DeserializeOwned>(source: &Arc<Source>, problems: &mut Problems) -> Option<T> {
    let (mut table, syntax) = DeTable::parse_recoverable(&source.text);
    for error in syntax.iter().take(MAX_PROBLEMS) {
        let place = Place::new(source, error.span().unwrap_or_default());
        problems.push(Problem::new(
            place,
            format!("not valid TOML: {}", error.message()),
        ));
    }
    if !syntax.is_empty() {
        return None;
    }
    let mut known = String::new();
    for _ in 0..MAX_PROBLEMS {
        match T::deserialize(Deserializer::from(table.clone())) {
            Ok(value) => return Some(value),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                let problem = explain(source, error.message(), span.clone());
                if !is_consequence(error.message(), &known) {
                    known.push_str(&problem.to_string());
                    problems.push(problem);
                }
                known.push_str(&take_out(table.get_mut(), &span)?);
            }
        }
    }
    None
}

/// Whether a setting is only missing because it was reported, under this or a mistyped name, and taken out.
fn is_consequence(message: &str, known: &str) -> bool {
    message
        .strip_prefix("missing field ")
        .is_some_and(|field| known.contains(field.trim()))
}

/// Removes the innermost key whose text encloses `span`; returns its name in backquotes, `None` when there is none.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let inside = |outer: Range<usize>| {
        outer.start <= span.start && span.end <= outer.end && !outer.is_empty()
    };
    let key = table
        .iter()
        .find(|(key, value)| {
            inside(key.span()) || inside(value.span()) || nested(value.get_ref(), &inside)
        })
        .map(|(key, _)| key.clone())?;
    // A key that is the fault itself goes; only inside a value is there something smaller to take out.
    let within = match table.get_mut(&key) {
        Some(value) if !inside(key.span()) => take_out_of(value, span),
        _ => None,
    };
    within.or_else(|| table.remove(&key).map(|_| format!("`{}`", key.get_ref())))
}

/// As [`take_out`], below a value: in a table its key, in an array of tables a key of the one that is meant.
fn take_out_of(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<String> {
    match value.get_mut() {
        DeValue::Table(table) => take_out(table, span),
        DeValue::Array(array) => array.iter_mut().find_map(|item| take_out_of(item, span)),
        _ => None,
    }
}

/// Whether something below a value encloses the span: a `[table]` header's own span does not cover its body.
fn nested(value: &DeValue<'_>, inside: &impl Fn(Range<usize>) -> bool) -> bool {
    match value {
        DeValue::Table(table) => table
            .iter()
            .any(|(k, v)| inside(k.span()) || inside(v.span()) || nested(v.get_ref(), inside)),
        DeValue::Array(array) => array
            .iter()
            .any(|v| inside(v.span()) || nested(v.get_ref(), inside)),
        _ => false,
    }
}

/// serde's words with a remedy.
fn explain(source: &Arc<Source>, message: &str, span: Range<usize>) -> Problem {
    let place = Place::new(source, span);
    let quoted = |text: &str| -> Vec<String> {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let words = quoted(rest);
        let Some((typed, known)) = words.split_first() else {
            return Problem::new(place, message);
        };
        let problem = Problem::new(place, format!("unknown setting `{typed}`"));
        return match did_you_mean(typed, known.iter().map(String::as_str)) {
            Some(near) => problem.remedy(format!("did you mean `{near}`?")),
            None if known.is_empty() => problem.remedy("remove it: nothing can be set here"),
            None => problem.remedy(format!("known here: {}", known.join(", "))),
        };
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let words = quoted(rest);
        let Some((typed, known)) = words.split_first() else {
            return Problem::new(place, message);
        };
        let problem = Problem::new(place, format!("`{typed}` is not a value of this setting"));
        return match did_you_mean(typed, known.iter().map(String::as_str)) {
            Some(near) => problem.remedy(format!("did you mean `{near}`?")),
            None => problem.remedy(format!("use one of: {}", known.join(", "))),
        };
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let field = quoted(rest).concat();
        return Problem::new(place, format!("the setting `{field}` is missing"))
            .remedy(format!("add a line `{field} = ...` to this table"));
    }
    match message.split_once(": write ") {
        Some((reason, remedy)) => Problem::new(place, reason).remedy(format!("write {remedy}")),
        None => Problem::new(place, message),
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
