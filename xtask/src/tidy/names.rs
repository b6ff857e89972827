//! Names that say nothing: a drawer called `utils` takes everything and explains nothing.
//! A module is named after one noun of docs/glossary.md.

use super::source::{Source, text_of};
use crate::finding::Finding;

/// Not as a folder, not as a file, not as a module written in place.
const DRAWERS: &[&str] = &[
    "util", "utils", "helper", "helpers", "misc", "types", "manager", "managers", "stuff",
];

/// What this rule finds in `source`.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for part in source.path.iter().map(text_of) {
        if let Some(drawer) = drawer_in(part.trim_end_matches(".rs")) {
            found.push(finding(source, 1, drawer));
        }
    }
    for (index, line) in source.code.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let inline = words
            .iter()
            .position(|w| *w == "mod")
            .and_then(|i| words.get(i + 1));
        let name = inline.map(|w| w.trim_end_matches(['{', ';']));
        if let Some(drawer) = name
            .filter(|_| !line.trim_end().ends_with(';'))
            .and_then(drawer_in)
        {
            found.push(finding(source, index + 1, drawer));
        }
    }
    found
}

/// `utils`, and also `net_utils`.
fn drawer_in(name: &str) -> Option<&'static str> {
    DRAWERS
        .iter()
        .find(|drawer| name.rsplit(['_', '-']).next() == Some(**drawer))
        .copied()
}

fn finding(source: &Source, line: usize, drawer: &str) -> Finding {
    Finding::new(
        &source.path,
        line,
        format!("`{drawer}` names nothing"),
        "name the file after the one thing it holds (docs/glossary.md); split it when it holds several",
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[track_caller]
    fn count(path: &str, text: &str, expected: usize) {
        assert_eq!(
            check(&Source::new(Path::new(path), text)).len(),
            expected,
            "{path}"
        );
    }

    #[test]
    fn drawers_are_found_as_file_folder_and_module() {
        count("a/src/utils.rs", "", 1);
        count("a/src/helpers/x.rs", "", 1);
        count("a/src/net_utils.rs", "", 1);
        count("a/src/x.rs", "pub mod misc {\n}\n", 1);
        // Declared elsewhere: found at the file itself.
        count("a/src/x.rs", "pub mod misc;\n", 0);
        count("a/src/restore_helper_unit.rs", "", 0);
        count("a/src/entry.rs", "let types = 1;\n", 0);
    }
}
