//! `cargo xtask COMMAND`: the checks of this project that no ready-made tool does.
//!
//! `tidy` reads the sources as text and compares them with the house rules of CONTRIBUTING.md,
//! `licences` compares the dependency graph with `deny.toml`, `compare` one tree of files with
//! another. All print what they found at once, each with its place and its remedy, and exit with
//! 1 when there was anything. They never change a file.

mod compare;
mod finding;
mod licences;
mod lines;
mod tidy;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use finding::Report;

const USAGE: &str = "usage: cargo xtask tidy | licences | compare SOURCE RESTORED";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let command = arguments.first().and_then(|name| name.to_str());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let outcome = match (command, arguments.get(1..).unwrap_or_default()) {
        (Some("tidy"), []) => tidy::check(&root),
        (Some("licences"), []) => licences::check(&root),
        (Some("compare"), [a, b]) => compare::check(Path::new(a), Path::new(b)),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match outcome {
        Ok(report) => finish(&report),
        Err(error) => {
            lines::err(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn finish(report: &Report) -> ExitCode {
    for finding in report.sorted() {
        lines::out(&finding.to_string());
    }
    lines::out(&report.summary());
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
