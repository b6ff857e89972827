//! `[fileset.NAME]`: what is saved and what is left out.
//!
//! Paths are written in the escaped form that Holdfast shows (`\xNN` for bytes that are no text). The rules keep their
//! `file:line`, so that a person can be told which one decides; the *text* of a FileSet, whose change makes the next
//! backup a Full, has none of it: moving a rule to another file changes nothing.

use common::api::text::PathText;
use common::config::{Size, Spanned};
use common::fileset::{Action, Command, FileSet as Ordered, Include, Rule};
use serde::Deserialize;

use super::context::Context;

/// A FileSet, ready to be sent to a client.
#[derive(Debug, Clone)]
pub struct FileSet {
    /// As sent, rules with their places.
    pub ordered: Ordered,
    /// The same as text, without places: what snapshots keep and compare.
    pub text: String,
}

impl PartialEq for FileSet {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileSetTable {
    include: Vec<IncludeText>,
    rules: Vec<Spanned<String>>,
    exclude_if_present: Vec<Spanned<String>>,
    skip_caches: Option<bool>,
    honour_nodump: Option<bool>,
    cross_file_systems: Option<bool>,
    min_size: Option<Size>,
    max_size: Option<Size>,
    commands: Vec<CommandTable>,
}

/// A path alone, or a table with options: told apart by hand, since untagged enums lose their places.
#[derive(Debug)]
enum IncludeText {
    Path(Spanned<String>),
    Table(Spanned<String>, IncludeTable),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IncludeTable {
    path: String,
    cross_file_systems: Option<bool>,
    exclude_if_present: Option<Vec<String>>,
    skip_caches: Option<bool>,
    honour_nodump: Option<bool>,
    min_size: Option<Size>,
    max_size: Option<Size>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandTable {
    path: Spanned<String>,
    read: Spanned<Vec<String>>,
    #[serde(default)]
    write: Vec<String>,
}

impl<'de> Deserialize<'de> for IncludeText {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = Spanned::<toml::Value>::deserialize(d)?;
        let span = value.span();
        match value.into_inner() {
            toml::Value::String(path) => Ok(Self::Path(Spanned::new(span, path))),
            // The places inside are lost; the whole table's stands for them.
            toml::Value::Table(table) => IncludeTable::deserialize(table)
                .map(|t| Self::Table(Spanned::new(span, t.path.clone()), t))
                .map_err(|e| serde::de::Error::custom(e.message())),
            other => Err(serde::de::Error::custom(format!(
                "an include is a path or a table, not {}: write \"/home\" or {{ path = \"/home\" }}",
                other.type_str()
            ))),
        }
    }
}

impl FileSetTable {
    pub fn check(self, name: &Spanned<String>, context: &mut Context<'_>) -> FileSet {
        if self.include.is_empty() && self.commands.is_empty() {
            context.wrong(
                name.span(),
                format!("FileSet {} includes nothing", name.get_ref()),
                "add `include = [\"/home\"]`",
            );
        }
        for marker in &self.exclude_if_present {
            if marker.get_ref().is_empty() || marker.get_ref().contains('/') {
                context.wrong(
                    marker.span(),
                    format!("{:?} is not a file name", marker.get_ref()),
                    "write the name of a marker file, as in \".nobackup\"",
                );
            }
        }
        let mut ordered = Ordered {
            name: name.get_ref().clone(),
            ..Ordered::default()
        };
        for include in &self.include {
            if let Some(include) = self.include(include, context) {
                ordered.includes.push(include);
            }
        }
        ordered.rules = self
            .rules
            .iter()
            .filter_map(|text| rule(text, context))
            .collect();
        ordered.commands = self
            .commands
            .iter()
            .filter_map(|c| command(c, context))
            .collect();
        FileSet {
            text: text_of(&ordered),
            ordered,
        }
    }

    /// One include with the FileSet's options where it has none of its own.
    fn include(&self, include: &IncludeText, context: &mut Context<'_>) -> Option<Include> {
        let size =
            |own: Option<Size>, general: Option<Size>| own.or(general).map_or(0, Size::bytes);
        let markers = || {
            self.exclude_if_present
                .iter()
                .map(|m| m.get_ref().clone())
                .collect()
        };
        let (path, own) = match include {
            IncludeText::Path(path) => (path, None),
            IncludeText::Table(path, table) => (path, Some(table)),
        };
        let flag = |own: Option<bool>, general: Option<bool>| own.or(general).unwrap_or(false);
        Some(Include {
            path: absolute(path, context)?,
            cross_file_systems: flag(
                own.and_then(|t| t.cross_file_systems),
                self.cross_file_systems,
            ),
            exclude_if_present: own
                .and_then(|t| t.exclude_if_present.clone())
                .unwrap_or_else(markers),
            skip_caches: flag(own.and_then(|t| t.skip_caches), self.skip_caches),
            honour_nodump: flag(own.and_then(|t| t.honour_nodump), self.honour_nodump),
            min_size: size(own.and_then(|t| t.min_size), self.min_size),
            max_size: size(own.and_then(|t| t.max_size), self.max_size),
        })
    }
}

/// The bytes of an absolute path without `.`, `..`, double or final slashes.
fn absolute(path: &Spanned<String>, context: &mut Context<'_>) -> Option<Vec<u8>> {
    let text = path.get_ref();
    let remedy = match text {
        t if !t.starts_with('/') => format!(
            "write an absolute path, as in \"/{}\"",
            t.trim_start_matches("./")
        ),
        t if t.split('/').any(|part| part == "." || part == "..") => {
            "write the path without \".\" and \"..\"".to_owned()
        }
        _ => match common::name::unescape(text) {
            Ok(raw) if !raw.contains(&0) => return Some(tidy(&raw)),
            _ => "write a backslash as \\\\ and other bytes as \\xNN, but no zero byte".to_owned(),
        },
    };
    context.wrong(path.span(), format!("{text:?} cannot be included"), remedy);
    None
}

fn tidy(raw: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = raw
        .split(|b| *b == b'/')
        .filter(|p| !p.is_empty())
        .collect();
    [b"/".to_vec(), parts.join(&b'/')].concat()
}

/// `exclude GLOB`, `include GLOB`, `exclude regex EXPRESSION`, `include regex EXPRESSION`.
fn rule(text: &Spanned<String>, context: &mut Context<'_>) -> Option<Rule> {
    let words = text.get_ref().trim();
    let (verb, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    let action = match verb {
        "exclude" => Action::Exclude,
        "include" => Action::Include,
        _ => {
            context.wrong(
                text.span(),
                format!("{words:?} is not a rule"),
                format!("write \"exclude {words}\" or \"include {words}\""),
            );
            return None;
        }
    };
    let rest = rest.trim();
    let (glob, regex) = match rest.split_once(char::is_whitespace) {
        Some(("regex", expression)) => ("", expression.trim()),
        _ => (rest, ""),
    };
    let fault = if regex.is_empty() {
        check_glob(glob)
    } else {
        regex::bytes::Regex::new(regex)
            .err()
            .map(|e| last_line(&e.to_string()))
    };
    if let Some(fault) = fault {
        context.wrong(
            text.span(),
            format!("the pattern of {words:?} cannot be read: {fault}"),
            "`*` stays within a name, `**` crosses folders, `\\*` is a star; or use `regex EXPRESSION`",
        );
        return None;
    }
    Some(Rule {
        action: action.into(),
        glob: glob.to_owned(),
        regex: regex.to_owned(),
        origin: context.place(text.span()).to_string(),
    })
}

fn check_glob(glob: &str) -> Option<String> {
    if glob.is_empty() {
        return Some("it is empty".to_owned());
    }
    let built = globset::GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build();
    built.err().map(|e| e.kind().to_string())
}

/// The regex crate draws its errors; the last line says what is wrong.
fn last_line(text: &str) -> String {
    text.lines()
        .last()
        .unwrap_or(text)
        .trim_start_matches("error: ")
        .to_owned()
}

fn command(table: &CommandTable, context: &mut Context<'_>) -> Option<Command> {
    if table.read.get_ref().first().is_none_or(String::is_empty) {
        context.wrong(
            table.read.span(),
            "the command has no program",
            "write program and arguments, as in read = [\"pg_dump\", \"app\"]",
        );
        return None;
    }
    Some(Command {
        path: absolute(&table.path, context)?,
        read: table.read.get_ref().clone(),
        write: table.write.clone(),
    })
}

/// The canonical text: JSON with paths as shown, stable for the same content.
fn text_of(ordered: &Ordered) -> String {
    let shown = |path: &[u8]| PathText::from_bytes(path).0;
    let includes: Vec<serde_json::Value> = ordered
        .includes
        .iter()
        .map(|i| {
            serde_json::json!({
                "path": shown(&i.path), "cross_file_systems": i.cross_file_systems,
                "exclude_if_present": i.exclude_if_present, "skip_caches": i.skip_caches,
                "honour_nodump": i.honour_nodump, "min_size": i.min_size, "max_size": i.max_size,
            })
        })
        .collect();
    let rules: Vec<String> = ordered
        .rules
        .iter()
        .map(|r| {
            let verb = if r.action == i32::from(Action::Include) {
                "include"
            } else {
                "exclude"
            };
            if r.regex.is_empty() {
                format!("{verb} {}", r.glob)
            } else {
                format!("{verb} regex {}", r.regex)
            }
        })
        .collect();
    let commands: Vec<serde_json::Value> = ordered
        .commands
        .iter()
        .map(|c| serde_json::json!({ "path": shown(&c.path), "read": c.read, "write": c.write }))
        .collect();
    serde_json::json!({ "include": includes, "rules": rules, "commands": commands }).to_string()
}

/// The folders and files that a FileSet's text includes; nothing when it is of another making.
#[must_use]
pub fn includes_of_text(text: &str) -> Vec<PathText> {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let includes = value.get("include").and_then(serde_json::Value::as_array);
    includes
        .into_iter()
        .flatten()
        .filter_map(|i| i.get("path").and_then(serde_json::Value::as_str))
        .map(|path| PathText(path.to_owned()))
        .collect()
}

/// What a FileSet's text selects, without its commands. `None` = it is of another making, in whole or in part.
#[must_use]
pub fn selection_of_text(text: &str) -> Option<Ordered> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Included {
        path: PathText,
        cross_file_systems: bool,
        exclude_if_present: Vec<String>,
        skip_caches: bool,
        honour_nodump: bool,
        min_size: u64,
        max_size: u64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Whole {
        include: Vec<Included>,
        rules: Vec<String>,
        #[serde(rename = "commands")]
        _commands: serde_json::Value,
    }
    let whole: Whole = serde_json::from_str(text).ok()?;
    let includes = whole.include.into_iter().map(|i| {
        Some(Include {
            path: i.path.to_bytes().ok()?,
            cross_file_systems: i.cross_file_systems,
            exclude_if_present: i.exclude_if_present,
            skip_caches: i.skip_caches,
            honour_nodump: i.honour_nodump,
            min_size: i.min_size,
            max_size: i.max_size,
        })
    });
    Some(Ordered {
        includes: includes.collect::<Option<_>>()?,
        rules: whole
            .rules
            .iter()
            .map(|rule| rule_of_text(rule))
            .collect::<Option<_>>()?,
        ..Ordered::default()
    })
}

fn rule_of_text(text: &str) -> Option<Rule> {
    let (verb, pattern) = text.split_once(' ')?;
    let action = match verb {
        "include" => Action::Include,
        "exclude" => Action::Exclude,
        _ => return None,
    };
    let (glob, regex) = match pattern.strip_prefix("regex ") {
        Some(regex) => ("", regex),
        None => (pattern, ""),
    };
    Some(Rule {
        action: action.into(),
        glob: glob.to_owned(),
        regex: regex.to_owned(),
        origin: String::new(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_selects_is_what_was_written_and_another_text_selects_nothing() {
        let ordered = Ordered {
            includes: vec![Include {
                path: b"/home/\xff x".to_vec(),
                cross_file_systems: true,
                exclude_if_present: vec![".nobackup".to_owned()],
                skip_caches: true,
                max_size: 7,
                ..Include::default()
            }],
            rules: ["exclude *.tmp", "include regex ^/a b$"]
                .map(|rule| rule_of_text(rule).unwrap())
                .to_vec(),
            ..Ordered::default()
        };
        assert_eq!(selection_of_text(&text_of(&ordered)).unwrap(), ordered);
        for other in [
            "",
            "{}",
            r#"{"include":[],"rules":["burn x"],"commands":[]}"#,
        ] {
            assert_eq!(selection_of_text(other), None, "{other}");
        }
    }
}
