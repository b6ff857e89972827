//! docs/promises.md holds one line for each promise to the people who run Holdfast, and the test or
//! bench that shows it. This rule looks each of them up: a promise whose test was renamed or
//! deleted is no promise.
//!
//! A row is `| promise | shown by | status |`. Shown by names tests as `` `crate::path::test` ``
//! (found as a test function in that crate) or files as `` `bench/run.py` `` (found in the tree).
//! Status is empty, or `open`: then nothing need exist yet.

use std::path::Path;

use super::docs::has_test;
use super::tree::{Text, Tree};
use crate::finding::Finding;

const PAGE: &str = "docs/promises.md";

/// Findings and how far the page has come.
pub struct Promises {
    /// Rows that show nothing.
    pub findings: Vec<Finding>,
    /// Rows with a test that exists.
    pub shown: usize,
    /// Rows marked open.
    pub open: usize,
}

/// Looks up every row of the page.
pub fn check(tree: &Tree) -> Promises {
    let mut promises = Promises {
        findings: Vec::new(),
        shown: 0,
        open: 0,
    };
    let Some(page) = tree.texts().iter().find(|t| t.path == Path::new(PAGE)) else {
        promises.findings.push(Finding::new(
            Path::new(PAGE),
            1,
            "the page is missing",
            "write it: one row per promise",
        ));
        return promises;
    };
    for row in rows(page) {
        match row.status.as_str() {
            "open" => promises.open += 1,
            "" => match row.problem(tree) {
                None => promises.shown += 1,
                Some((what, remedy)) => promises
                    .findings
                    .push(Finding::new(&page.path, row.line, what, remedy)),
            },
            other => {
                let what = format!("status `{other}` is unknown");
                promises.findings.push(Finding::new(
                    &page.path,
                    row.line,
                    what,
                    "leave it empty, or write `open`",
                ));
            }
        }
    }
    promises
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    line: usize,
    shown_by: Vec<String>,
    status: String,
}

/// The rows of all tables of the page, without heads and rules. `\|` is text, not a border.
fn rows(page: &Text) -> Vec<Row> {
    let mut found = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        let line = line.replace("\\|", "/");
        let Some(inside) = line.trim().strip_prefix('|') else {
            continue;
        };
        let cells: Vec<&str> = inside
            .trim_end_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let is_head = cells.first() == Some(&"promise");
        let is_rule = cells
            .iter()
            .all(|cell| cell.chars().all(|c| matches!(c, '-' | ':')) && !cell.is_empty());
        if is_head || is_rule {
            continue;
        }
        let shown_by = cells.get(1).map_or_else(Vec::new, |cell| quoted(cell));
        let status = cells.get(2).copied().unwrap_or_default().to_owned();
        found.push(Row {
            line: index + 1,
            shown_by,
            status,
        });
    }
    found
}

/// What stands between back quotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

impl Row {
    fn problem(&self, tree: &Tree) -> Option<(String, &'static str)> {
        if self.shown_by.is_empty() {
            return Some((
                "a promise that nothing shows".to_owned(),
                "name a test or a bench, or set its status to `open`",
            ));
        }
        let missing = self.shown_by.iter().find(|name| !exists(tree, name))?;
        Some((
            format!("`{missing}` does not exist"),
            "name a test function or a file that exists, or set its status to `open`",
        ))
    }
}

/// A file, or a test function of the crate that the first segment names.
fn exists(tree: &Tree, name: &str) -> bool {
    let segments: Vec<&str> = name.split("::").collect();
    let [krate, .., test] = segments.as_slice() else {
        return tree.has(name);
    };
    let folder = krate.replace('_', "-");
    tree.sources()
        .iter()
        .any(|s| s.crate_folder() == folder && has_test(s, test))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::fs;

    use super::*;

    /// A project with one test and one script, and this page.
    fn project(page: &str) -> Promises {
        let root = tempfile::tempdir().unwrap();
        for folder in ["docs", "bench", "file-daemon/src"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("bench/run.py"), "").unwrap();
        fs::write(
            root.path().join("file-daemon/src/a.rs"),
            "#[test]\nfn keeps_holes() {}\nfn plain() {}\n",
        )
        .unwrap();
        fs::write(
            root.path().join(PAGE),
            format!("| promise | shown by | status |\n|---|:--|---|\n{page}"),
        )
        .unwrap();
        check(&Tree::read(root.path()).unwrap())
    }

    #[track_caller]
    fn finds(page: &str, expected: &str) {
        let found: Vec<String> = project(page)
            .findings
            .iter()
            .map(ToString::to_string)
            .collect();
        match expected {
            "" => assert!(found.is_empty(), "{found:?}"),
            _ => assert!(found.len() == 1 && found[0].contains(expected), "{found:?}"),
        }
    }

    #[test]
    fn what_exists_is_shown() {
        let page = "| Holes | `file-daemon::x::keeps_holes` | |\n| Fast | `bench/run.py`, `file_daemon::keeps_holes` | |\n| `a \\| b` later | | open |\n";
        let promises = project(page);
        assert!(promises.findings.is_empty());
        assert_eq!((promises.shown, promises.open), (2, 1));
    }

    #[test]
    fn what_does_not_exist_is_found_with_its_line() {
        finds(
            "| Holes | `file-daemon::keeps_nothing` | |\n",
            "docs/promises.md:3: `file-daemon::keeps_nothing` does not exist",
        );
        finds("| Holes | `director::keeps_holes` | |\n", "does not exist");
        finds("| Holes | `file-daemon::plain` | |\n", "does not exist");
        finds(
            "| Fast | `bench/absent` | |\n",
            "`bench/absent` does not exist",
        );
        finds("| Holes | we looked | |\n", "a promise that nothing shows");
        finds(
            "| Holes | `bench/run.py` | done |\n",
            "status `done` is unknown",
        );
    }
}
