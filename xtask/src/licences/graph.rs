//! The crates that the workspace is really built from, as `cargo tree` tells it. `Cargo.lock` and
//! `cargo metadata` also name crates that no enabled feature reaches, such as a second
//! cryptographic provider.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

const TREE: &[&str] = &[
    "tree",
    "--workspace",
    "--locked",
    "--edges=normal,build,dev",
    "--target=x86_64-unknown-linux-gnu",
    "--prefix=depth",
    "--format= {p} | {l} |",
];

/// A crate that something here needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, with the `v`.
    pub version: String,
    /// Where it came from when that is not the public registry.
    pub source: Option<String>,
    /// Its licence expression, empty when it has none.
    pub licence: String,
    /// One crate that needs it.
    pub needed_by: String,
}

/// Asks cargo. Downloads what is missing, changes nothing.
pub fn read(root: &Path) -> Result<Vec<Package>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(TREE)
        .current_dir(root)
        .output()
        .context("start cargo tree")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo tree failed: {complaint}");
    let text = String::from_utf8(output.stdout).context("read the output of cargo tree")?;
    let packages = parse(&text);
    ensure!(!packages.is_empty(), "cargo tree named no crates");
    Ok(packages)
}

/// Lines are `DEPTH NAME VERSION (SOURCE) | LICENCE |`, depth 0 a crate of the workspace.
fn parse(text: &str) -> Vec<Package> {
    let mut above: Vec<String> = Vec::new();
    let mut packages: Vec<Package> = Vec::new();
    for line in text.lines() {
        let mut halves = line.split('|').map(str::trim);
        let (Some(who), Some(licence)) = (halves.next(), halves.next()) else {
            continue;
        };
        let mut words = who.split_whitespace();
        let depth = words.next().and_then(|d| d.parse::<usize>().ok());
        let (Some(depth), Some(name), Some(version)) = (depth, words.next(), words.next()) else {
            continue;
        };
        above.truncate(depth);
        let needed_by = above.last().cloned().unwrap_or_default();
        above.push(name.to_owned());
        let source = words
            .map(|w| w.trim_matches(['(', ')']))
            .find(|w| *w != "proc-macro");
        let is_ours = source.is_some_and(|s| s.starts_with('/'));
        let is_known = packages
            .iter()
            .any(|p| p.name == name && p.version == version);
        if !is_ours && !is_known {
            packages.push(Package {
                name: name.to_owned(),
                version: version.to_owned(),
                source: source.map(str::to_owned),
                licence: licence.to_owned(),
                needed_by,
            });
        }
    }
    packages
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_read_once_with_one_that_needs_them() {
        let text = "0 common v0.1.0 (/home/x/common) | Apache-2.0 |\n\
                    1 prost v0.14.1 | Apache-2.0 |\n\
                    2 prost-derive v0.14.1 (proc-macro) | Apache-2.0 |\n\
                    1 odd v1.0.0 (https://example.org/odd#1234) |  |\n\
                    \n\
                    0 director v0.1.0 (/home/x/director) | Apache-2.0 |\n\
                    1 common v0.1.0 (/home/x/common) | Apache-2.0 | (*)\n\
                    1 prost v0.14.1 | Apache-2.0 | (*)\n";
        let found = parse(text);
        let names: Vec<String> = found
            .iter()
            .map(|p| format!("{}<{}", p.name, p.needed_by))
            .collect();
        assert_eq!(names, ["prost<common", "prost-derive<prost", "odd<common"]);
        assert_eq!(
            found.last().unwrap().source.as_deref(),
            Some("https://example.org/odd#1234")
        );
        assert_eq!(found.last().unwrap().licence, "");
    }
}
