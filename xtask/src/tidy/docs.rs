//! Each Rust file opens with its module documentation, and `mod.rs` and `lib.rs` hold nothing but
//! declarations: a reader finds the map of a folder there and no logic.

use super::source::{Source, line_of};
use crate::finding::Finding;

/// Words that begin an item with logic of its own.
const LOGIC: &[&str] = &[
    "fn ",
    "impl ",
    "impl<",
    "struct ",
    "enum ",
    "trait ",
    "static ",
    "macro_rules!",
];

/// What this rule finds in `source`.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let first = source.text.lines().find(|line| !line.trim().is_empty());
    if !first.is_some_and(|line| line.starts_with("//!")) {
        found.push(Finding::new(
            &source.path,
            1,
            "no module documentation",
            "open the file with `//!` lines: what it is, why it exists, its invariants (\"never ...\")",
        ));
    }
    if matches!(source.file_name().as_str(), "mod.rs" | "lib.rs") {
        found.extend(logic(source));
    }
    found
}

fn logic(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in source.code.lines().enumerate() {
        let item = without_visibility(line.trim_start());
        let begins = LOGIC.iter().any(|word| item.starts_with(word));
        if begins && !source.is_test_line(index + 1) {
            found.push(Finding::new(
                &source.path,
                index + 1,
                format!("logic in {}", source.file_name()),
                "move the item to a file named after it and declare that file here",
            ));
        }
    }
    // One finding per file says it all.
    found.truncate(1);
    found
}

fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else {
        return line;
    };
    let rest = match rest.strip_prefix('(') {
        Some(inside) => inside.split_once(')').map_or(rest, |(_, after)| after),
        None => rest,
    };
    let rest = rest.trim_start();
    rest.strip_prefix("async ")
        .or(rest.strip_prefix("unsafe "))
        .or(rest.strip_prefix("const "))
        .unwrap_or(rest)
}

/// Whether a function named `name` exists in `source` and is a test.
pub fn has_test(source: &Source, name: &str) -> bool {
    let wanted = format!("fn {name}(");
    source.code.match_indices(&wanted).any(|(at, _)| {
        let line = line_of(&source.code, at);
        let lines: Vec<&str> = source.code.lines().take(line).collect();
        lines
            .iter()
            .rev()
            .skip(1)
            .take_while(|l| is_attribute_line(l))
            .any(|l| l.contains("test"))
    })
}

/// Attributes stand directly above the function; comments between them were blanked.
fn is_attribute_line(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line.ends_with(']') || line.ends_with(',')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[track_caller]
    fn count(path: &str, text: &str, expected: usize) {
        let found = check(&Source::new(Path::new(path), text));
        assert_eq!(found.len(), expected, "{found:?}");
    }

    #[test]
    fn a_file_without_module_documentation_is_found() {
        count("a/src/x.rs", "//! What.\nfn f() {}\n", 0);
        count("a/src/x.rs", "fn f() {}\n", 1);
        count("a/src/x.rs", "/// Not it.\nfn f() {}\n", 1);
        count("a/src/x.rs", "", 1);
    }

    #[test]
    fn mod_and_lib_hold_declarations_only() {
        count("a/src/x/mod.rs", "//! Map.\nmod a;\npub use a::A;\n", 0);
        count("a/src/x/mod.rs", "//! Map.\npub(crate) fn f() {}\n", 1);
        count(
            "a/src/lib.rs",
            "//! Map.\npub async fn f() {}\nstruct S;\n",
            1,
        );
        count(
            "a/src/lib.rs",
            "//! Map.\n#[cfg(test)]\nmod tests {\n fn f() {}\n}\n",
            0,
        );
        count(
            "a/src/lib.rs",
            "//! Map: fn f().\n// fn f()\npub mod a;\n",
            0,
        );
    }

    #[test]
    fn a_test_is_a_function_under_a_test_attribute() {
        let s = Source::new(
            Path::new("a/src/x.rs"),
            "#[tokio::test]\n// why\nasync fn yes() {}\nfn no() {}\n",
        );
        assert!(has_test(&s, "yes"));
        assert!(!has_test(&s, "no"));
        assert!(!has_test(&s, "absent"));
    }
}
