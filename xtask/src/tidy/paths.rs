//! Finds the paths written in blanked Rust code: `use` trees spread into single paths, and paths
//! written in place (`crate::catalog::Catalog::open(...)`).
//!
//! Reads words and `::`, not grammar. What a macro makes is not seen.

use super::source::line_of;

/// One path as written, `use a::{b, c}` counted as `a::b` and `a::c`.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// `["crate", "catalog", "Catalog"]`; single words only from `use`.
    pub segments: Vec<String>,
    /// Counted from 1.
    pub line: usize,
}

/// All paths in `code`, in order.
pub fn find(code: &str) -> Vec<Found> {
    let mut reader = Reader {
        code,
        at: 0,
        found: Vec::new(),
    };
    while reader.at < code.len() {
        reader.step();
    }
    reader.found
}

struct Reader<'a> {
    code: &'a str,
    at: usize,
    found: Vec<Found>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.code[self.at..]
    }

    fn step(&mut self) {
        let start = self.at;
        let word = self.word();
        if word == "use" {
            self.tree(&[]);
        } else if word.is_empty() {
            self.at += self.rest().chars().next().map_or(1, char::len_utf8);
        } else if self.rest().starts_with("::") && !self.is_inner(start) {
            let segments = self.segments(word.to_owned());
            self.push(segments, start);
        }
    }

    /// A word behind `.` or `::` is not the beginning of a path.
    fn is_inner(&self, start: usize) -> bool {
        self.code[..start].trim_end().ends_with(['.', ':'])
            && self.code[..start].trim_end().ends_with("::")
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Behind the first word: all that follow with `::` between.
    fn segments(&mut self, first: String) -> Vec<String> {
        let mut all = vec![first];
        loop {
            let before = self.at;
            if !self.rest().starts_with("::") {
                return all;
            }
            self.at += 2;
            let word = self.word();
            if word.is_empty() {
                self.at = before;
                return all;
            }
            all.push(word.to_owned());
        }
    }

    /// A `use` tree under `prefix`; ends before `,`, `}` or `;`.
    fn tree(&mut self, prefix: &[String]) {
        self.space();
        if self.rest().starts_with("::") {
            self.at += 2;
        }
        let start = self.at;
        let mut path = prefix.to_vec();
        let word = self.word();
        if !word.is_empty() {
            path.extend(self.segments(word.to_owned()));
            if self.rest().starts_with("::") {
                self.at += 2;
            }
        }
        if self.rest().starts_with('{') {
            self.branches(&path);
        } else {
            self.push(path, start);
        }
        let rest = self.rest();
        self.at += rest.find([',', '}', ';']).unwrap_or(rest.len());
    }

    fn branches(&mut self, prefix: &[String]) {
        while self.rest().starts_with(['{', ',']) {
            self.at += 1;
            self.space();
            if self.rest().starts_with('}') {
                break;
            }
            self.tree(prefix);
        }
        if self.rest().starts_with('}') {
            self.at += 1;
        }
    }

    fn push(&mut self, mut segments: Vec<String>, at: usize) {
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        if !segments.is_empty() {
            self.found.push(Found {
                segments,
                line: line_of(self.code, at),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn paths(code: &str, expected: &[&str]) {
        let found: Vec<String> = find(code).iter().map(|f| f.segments.join("::")).collect();
        assert_eq!(found, expected, "{code}");
    }

    #[test]
    fn use_trees_are_spread() {
        paths(
            "use crate::a::{b, c::{d, self}, e as f};",
            &[
                "crate::a::b",
                "crate::a::c::d",
                "crate::a::c",
                "crate::a::e",
            ],
        );
        paths("pub(crate) use super::x::*;", &["super::x"]);
        paths("use sqlx;\nuse ::tokio::fs;", &["sqlx", "tokio::fs"]);
        paths(
            "use a::{\n    b,\n    c,\n};\nuse d::e;",
            &["a::b", "a::c", "d::e"],
        );
        paths("use {a::b, c};", &["a::b", "c"]);
    }

    #[test]
    fn paths_in_place_are_found_once() {
        paths(
            "let x = crate::catalog::Catalog::open(y)?;",
            &["crate::catalog::Catalog::open"],
        );
        paths(
            "fn f(x: Vec<std::fs::File>) -> u8 { x.y() }",
            &["std::fs::File"],
        );
        paths("size_of::<u8>(); <T as A>::f();", &["size_of"]);
        paths("let because = used.usefulness; a.b", &[]);
        paths(
            "x.collect::<std::vec::Vec<u8>>()",
            &["collect", "std::vec::Vec"],
        );
    }

    #[test]
    fn lines_are_those_of_the_branch() {
        let lines: Vec<usize> = find("use a::{\n    b,\n    c::d,\n};\n")
            .iter()
            .map(|f| f.line)
            .collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn unfinished_text_ends_quietly() {
        for code in [
            "use",
            "use a::",
            "use a::{",
            "use a::{b",
            "a::",
            "::",
            "use {,,}",
        ] {
            find(code);
        }
    }
}
