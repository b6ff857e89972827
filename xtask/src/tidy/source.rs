//! One Rust file as the rules see it: where it stands in which crate, its halves, its test parts.
//!
//! Test code may be longer and may reach across layers, so the rules ask `is_test_line`. Test code
//! is: files of a crate's `tests` folder, `tests.rs`, `*_tests.rs`, anything below a `tests`
//! folder of the sources, and modules under `#[cfg(test)]`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::blank;

/// A Rust file of the workspace.
pub struct Source {
    /// Relative to the root of the project.
    pub path: PathBuf,
    /// The file as it is.
    pub text: String,
    /// Code with literals emptied; same positions as `text` line by line.
    pub code: String,
    test_lines: Vec<bool>,
}

impl Source {
    /// `path` relative to the root of the project.
    pub fn new(path: &Path, text: &str) -> Self {
        let halves = blank::split(text);
        let count = text.lines().count();
        let test_lines = if is_test_file(path) {
            vec![true; count]
        } else {
            marked_tests(&halves.code, count)
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: halves.code,
            test_lines,
        }
    }

    /// Folder of the crate: `storage-daemon`.
    pub fn crate_folder(&self) -> String {
        self.part(0)
    }

    /// Position inside the crate's `src`, for example `["runs", "machine"]` of
    /// `director/src/runs/machine.rs`; empty for `main.rs` and `lib.rs`. `None` outside of `src`.
    pub fn module(&self) -> Option<Vec<String>> {
        if self.part(1) != "src" {
            return None;
        }
        let mut parts: Vec<String> = self
            .path
            .iter()
            .skip(2)
            .map(|part| text_of(part).trim_end_matches(".rs").to_owned())
            .collect();
        let last = parts.last().map(String::as_str);
        if last == Some("mod") || (parts.len() == 1 && matches!(last, Some("main" | "lib"))) {
            parts.pop();
        }
        Some(parts)
    }

    /// `line` counted from 1.
    pub fn is_test_line(&self, line: usize) -> bool {
        line.checked_sub(1)
            .and_then(|i| self.test_lines.get(i))
            .copied()
            .unwrap_or(false)
    }

    /// Lines outside of tests.
    pub fn plain_lines(&self) -> usize {
        self.test_lines.iter().filter(|test| !**test).count()
    }

    /// `main.rs`, `mod.rs`.
    pub fn file_name(&self) -> String {
        self.path
            .file_name()
            .map(|name| text_of(name).to_owned())
            .unwrap_or_default()
    }

    fn part(&self, n: usize) -> String {
        self.path
            .iter()
            .nth(n)
            .map(|name| text_of(name).to_owned())
            .unwrap_or_default()
    }
}

/// Part of a path of this project. The project's own names are all UTF-8; another would match no rule.
pub fn text_of(part: &OsStr) -> &str {
    part.to_str().unwrap_or_default()
}

fn is_test_file(path: &Path) -> bool {
    let stem = path
        .file_stem()
        .map(|name| text_of(name).to_owned())
        .unwrap_or_default();
    let folders: Vec<_> = path.iter().skip(1).collect();
    let in_tests = folders.iter().any(|part| *part == "tests");
    stem == "tests" || stem.ends_with("_tests") || in_tests
}

/// The line ranges of items under `#[cfg(test)]`, from the attribute to the closing brace.
fn marked_tests(code: &str, count: usize) -> Vec<bool> {
    let mut marks = vec![false; count];
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = end_of_item(code, start);
        let first = line_of(code, start);
        let last = line_of(code, end);
        marks
            .iter_mut()
            .take(last)
            .skip(first - 1)
            .for_each(|mark| *mark = true);
        from = end.max(start + 1);
    }
    marks
}

/// Where the item that begins at `start` ends: at its `;` or behind its braces.
pub fn end_of_item(code: &str, start: usize) -> usize {
    let (mut braces, mut others) = (0_usize, 0_usize);
    for (i, c) in code[start..].char_indices() {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others = others.saturating_sub(1),
            '{' => braces += 1,
            '}' if braces <= 1 => return start + i,
            '}' => braces -= 1,
            ';' if braces == 0 && others == 0 => return start + i,
            _ => {}
        }
    }
    code.len().saturating_sub(1)
}

/// The line of byte position `at`, counted from 1.
pub fn line_of(code: &str, at: usize) -> usize {
    1 + code.bytes().take(at).filter(|b| *b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(Path::new(path), text)
    }

    #[test]
    fn modules_are_named_by_their_place() {
        let module = |path| source(path, "").module();
        assert_eq!(module("director/src/main.rs"), Some(vec![]));
        assert_eq!(
            module("director/src/runs/mod.rs"),
            Some(vec!["runs".to_owned()])
        );
        assert_eq!(
            module("director/src/runs/machine.rs"),
            Some(vec!["runs".to_owned(), "machine".to_owned()])
        );
        assert_eq!(module("director/build.rs"), None);
    }

    #[test]
    fn lines_of_test_modules_are_known() {
        let s = source(
            "a/src/x.rs",
            "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n",
        );
        let tests: Vec<bool> = (1..=7).map(|line| s.is_test_line(line)).collect();
        assert_eq!(tests, [false, true, true, true, true, true, false]);
        assert_eq!(s.plain_lines(), 2);
    }

    #[test]
    fn a_test_module_in_its_own_file_ends_at_the_semicolon() {
        let s = source(
            "a/src/x.rs",
            "#[cfg(test)]\n#[path = \"x_tests.rs\"]\nmod tests;\nfn c() {}\n",
        );
        assert!(s.is_test_line(3) && !s.is_test_line(4));
    }

    #[test]
    fn whole_test_files_are_known_by_name_or_folder() {
        for path in [
            "a/src/x/tests.rs",
            "a/src/x_tests.rs",
            "tests/tests/backup.rs",
            "a/src/x/tests/golden.rs",
        ] {
            assert!(source(path, "fn f() {}\n").is_test_line(1), "{path}");
        }
        assert!(!source("tests/src/harness.rs", "fn f() {}\n").is_test_line(1));
    }
}
