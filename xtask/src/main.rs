//! `cargo xtask COMMAND`: the checks of this project that no ready-made tool does.
//!
//! `tidy` reads the sources as text and compares them with the house rules of CONTRIBUTING.md;
//! `licences` compares the dependency graph with `deny.toml`. Both print all they found at once,
//! each with its place and its remedy, and exit with 1 when there was anything.
//! They never change a file.

mod finding;
mod licences;
mod lines;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use finding::Report;

const USAGE: &str = "usage: cargo xtask tidy | licences";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let outcome = match (command.as_deref(), root, arguments.next()) {
        (Some("tidy"), Some(root), None) => tidy::check(root),
        (Some("licences"), Some(root), None) => licences::check(root),
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
