//! Files and functions that outgrew a reader. The aim is half of the limit; the limit is where the
//! check stops. Test code is not counted.

use super::source::{Source, end_of_item, line_of};
use crate::finding::Finding;

/// Lines of a file outside of tests. Aim: 100 to 300.
const FILE_LINES: usize = 600;
/// Lines of a function from its `fn` to its closing brace. Aim: under 30.
const FUNCTION_LINES: usize = 80;
/// Lines of a `main.rs`: parse, wire, run.
const MAIN_LINES: usize = 60;

/// What this rule finds in `source`.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let lines = source.plain_lines();
    if source.file_name() == "main.rs" && lines > MAIN_LINES {
        let what = format!("main.rs has {lines} lines, the limit is {MAIN_LINES}");
        found.push(Finding::new(
            &source.path,
            1,
            what,
            "main parses, wires and runs; move the rest to a named file",
        ));
    } else if lines > FILE_LINES {
        let what =
            format!("the file has {lines} lines outside of tests, the limit is {FILE_LINES}");
        found.push(Finding::new(
            &source.path,
            1,
            what,
            "split it by the nouns it holds, one per file",
        ));
    }
    for function in functions(&source.code) {
        if function.lines > FUNCTION_LINES && !source.is_test_line(function.line) {
            let what = format!(
                "`{}` has {} lines, the limit is {FUNCTION_LINES}",
                function.name, function.lines
            );
            found.push(Finding::new(
                &source.path,
                function.line,
                what,
                "name its steps as functions of their own",
            ));
        }
    }
    found
}

#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// All functions with a body in blanked code.
fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let name: String = code[at + 3..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let end = end_of_item(code, at);
        if name.is_empty() || code[end..].starts_with(';') {
            continue;
        }
        let line = line_of(code, at);
        found.push(Function {
            name,
            line,
            lines: line_of(code, end) + 1 - line,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;

    use super::*;
    use crate::tidy::blank;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(Path::new(path), text))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn function(lines: usize) -> String {
        let mut text = String::from("fn long() {\n");
        for i in 0..lines - 2 {
            writeln!(text, "    let _ = \"}}\"; // }} {i}").unwrap();
        }
        text + "}\n"
    }

    #[test]
    fn a_function_over_the_limit_is_found_with_its_line() {
        assert!(found("a/src/x.rs", &function(80)).is_empty());
        let text = format!("const X: u8 = 1;\n{}", function(81));
        let found = found("a/src/x.rs", &text);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("a/src/x.rs:2: `long` has 81 lines"),
            "{found:?}"
        );
    }

    #[test]
    fn tests_are_not_counted() {
        let text = format!(
            "fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}{}}}\n",
            function(90),
            "// x\n".repeat(700)
        );
        assert!(found("a/src/x.rs", &text).is_empty());
    }

    #[test]
    fn a_file_over_the_limit_is_found_and_main_is_held_shorter() {
        assert!(found("a/src/x.rs", &"// x\n".repeat(600)).is_empty());
        assert_eq!(found("a/src/x.rs", &"// x\n".repeat(601)).len(), 1);
        assert_eq!(found("a/src/main.rs", &"// x\n".repeat(61)).len(), 1);
    }

    #[test]
    fn signatures_without_a_body_are_no_functions() {
        let code = blank::split("trait T {\n fn a(&self, x: [u8; 4]);\n fn b(&self) -> [u8; 2] {\n  f()\n }\n}\nlet g: fn (u8);").code;
        assert_eq!(
            functions(&code),
            [Function {
                name: "b".to_owned(),
                line: 3,
                lines: 3
            }]
        );
    }
}
