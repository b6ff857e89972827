//! Words that do not belong in a project that speaks for itself: work left over, the history of
//! who asked for what, the folders of one person's machine, praise.

use std::path::Path;

use super::blank;
use super::tree::Text;
use crate::finding::Finding;

/// Text (lower case), why not, what instead.
const UNWANTED: &[(&str, &str)] = &[
    ("as requested", "say what is and why, not who asked"),
    ("as per the issue", "say what is and why, not who asked"),
    (
        "previous issue",
        "name the feature or the document, not the order of the work",
    ),
    (
        "later issue",
        "name the feature or the document, not the order of the work",
    ),
    ("language model", "the project speaks of itself alone"),
    (" /work/", "paths of one machine do not belong here"),
    (" \"/work/", "paths of one machine do not belong here"),
    ("(\"/work/", "paths of one machine do not belong here"),
    ("`/work/", "paths of one machine do not belong here"),
    ("/root/.cargo", "paths of one machine do not belong here"),
    ("blazing", "give the figure and how it was measured"),
    ("world-class", "give the figure and how it was measured"),
    ("cutting-edge", "say what it does"),
    ("seamless", "say what it does"),
    ("effortless", "say what it does"),
];
/// Marks of unfinished work; allowed with a link to where it is tracked.
const LEFT_OVER: &[&str] = &["TODO", "FIXME", "HACK"];
/// Where the rule itself lists the words.
const ITSELF: &str = "xtask/src/tidy/words.rs";

/// What this rule finds in `text`.
pub fn check(text: &Text) -> Vec<Finding> {
    if text.path == Path::new(ITSELF) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, line) in text.text.lines().enumerate() {
        let lower = format!(" {}", line.to_lowercase());
        for (word, remedy) in UNWANTED.iter().filter(|(word, _)| lower.contains(word)) {
            found.push(Finding::new(
                &text.path,
                index + 1,
                format!("`{}` does not belong here", word.trim()),
                *remedy,
            ));
        }
    }
    found.extend(left_over(text));
    found
}

fn left_over(text: &Text) -> Vec<Finding> {
    let Some(comments) = comments(text) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, line) in comments.lines().enumerate() {
        let marked = line
            .split(|c: char| !c.is_alphanumeric())
            .find(|word| LEFT_OVER.contains(word));
        if let Some(mark) = marked.filter(|_| !line.contains("https://")) {
            let remedy = "do it, delete it, or add the link to where it is tracked";
            found.push(Finding::new(
                &text.path,
                index + 1,
                format!("{mark} without a link"),
                remedy,
            ));
        }
    }
    found
}

/// The comments of program text; `None` for prose.
fn comments(text: &Text) -> Option<String> {
    match text.path.extension().and_then(|e| e.to_str()) {
        Some("rs") => Some(blank::split(&text.text).comments),
        Some("md") => None,
        _ => Some(text.text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn count(path: &str, text: &str, expected: usize) {
        let found = check(&Text {
            path: path.into(),
            text: text.to_owned(),
        });
        assert_eq!(found.len(), expected, "{found:?}");
    }

    #[test]
    fn work_left_over_needs_a_link() {
        count("a/src/x.rs", "// TODO: later\n", 1);
        count("a/src/x.rs", "// TODO https://example.org/7\n", 0);
        count("a/src/x.rs", "let todo = \"TODO\";\n", 0);
        count("scripts/x.sh", "# FIXME\n", 1);
        count("docs/x.md", "A TODO needs a link.\n", 0);
    }

    #[test]
    fn words_are_found_in_code_and_prose() {
        count("README.md", "Blazing fast.\n", 1);
        count("a/src/x.rs", "let p = \"/work/x\"; // as requested\n", 2);
        count("a/src/x.rs", "let p = \"/srv/work/x\";\n", 0);
    }
}
