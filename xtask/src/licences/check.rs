//! Compares the graph with the rules.

use std::path::Path;

use anyhow::Result;

use super::expression::is_accepted;
use super::graph::{self, Package};
use super::rules::Rules;
use crate::finding::{Finding, Report};

/// Checks the dependencies of the project under `root`. Fails when cargo or `deny.toml` cannot be read.
pub fn check(root: &Path) -> Result<Report> {
    let rules = Rules::read(root)?;
    let packages = graph::read(root)?;
    let mut report = Report::new("licences");
    for package in &packages {
        report.extend(judge(&rules, package));
    }
    report.fact(format!("{} crates", packages.len()));
    Ok(report)
}

fn judge(rules: &Rules, package: &Package) -> Vec<Finding> {
    let Package {
        name,
        version,
        source,
        licence,
        needed_by,
    } = package;
    let who = format!("{name} {version} (needed by {needed_by})");
    let finding =
        |what: String, remedy: &str| Finding::new(Path::new("Cargo.lock"), 1, what, remedy);
    let mut found = Vec::new();
    if let Some(ban) = rules.bans.deny.iter().find(|ban| ban.name == *name) {
        found.push(finding(format!("{who} is banned"), &ban.reason));
    }
    let mut allowed = rules.licenses.allow.clone();
    for exception in rules.licenses.exceptions.iter().filter(|e| e.name == *name) {
        allowed.extend(exception.allow.iter().cloned());
    }
    if !is_accepted(licence, &allowed) {
        let remedy = "use another crate, or add the licence to deny.toml with the reason";
        found.push(finding(
            format!("{who} has the licence `{licence}`"),
            remedy,
        ));
    }
    if let Some(source) = source
        .as_ref()
        .filter(|source| !rules.sources.allows(source))
    {
        let remedy = "use a released version from the public registry";
        found.push(finding(format!("{who} comes from {source}"), remedy));
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [licenses]
        allow = ["MIT"]
        exceptions = [{ crate = "odd", allow = ["ISC"] }]
        [bans]
        deny = [{ crate = "ring", reason = "use aws-lc-rs" }]
        [sources]
        allow-registry = ["https://mirror/index"]
    "#;

    #[track_caller]
    fn finds(name: &str, licence: &str, source: Option<&str>, expected: &str) {
        let package = Package {
            name: name.to_owned(),
            version: "v1.0.0".to_owned(),
            source: source.map(str::to_owned),
            licence: licence.to_owned(),
            needed_by: "common".to_owned(),
        };
        let found = judge(&toml::from_str(RULES).unwrap(), &package);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        match expected {
            "" => assert!(found.is_empty(), "{found:?}"),
            _ => assert!(found.len() == 1 && found[0].contains(expected), "{found:?}"),
        }
    }

    #[test]
    fn each_rule_has_its_finding() {
        finds("serde", "MIT", None, "");
        finds("serde", "GPL-3.0", None, "licence `GPL-3.0`");
        finds("odd", "ISC", None, "");
        finds(
            "ring",
            "MIT",
            None,
            "ring v1.0.0 (needed by common) is banned",
        );
        finds(
            "serde",
            "MIT",
            Some("https://elsewhere"),
            "comes from https://elsewhere",
        );
        finds("serde", "MIT", Some("https://mirror/index"), "");
    }
}
