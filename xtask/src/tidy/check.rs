//! Runs every rule over the tree and collects what they say.

use std::path::Path;

use anyhow::Result;

use super::{docs, layers, names, promises, sizes, tree::Tree, words};
use crate::finding::Report;

/// Checks the project under `root`. Fails only when files cannot be read.
pub fn check(root: &Path) -> Result<Report> {
    let tree = Tree::read(root)?;
    let mut report = Report::new("tidy");
    for source in tree.sources() {
        report.extend(docs::check(source));
        report.extend(names::check(source));
        report.extend(sizes::check(source));
        report.extend(layers::check(source));
    }
    for text in tree.texts() {
        report.extend(words::check(text));
    }
    let promises = promises::check(&tree);
    report.extend(promises.findings);
    report.fact(format!("{} Rust files", tree.sources().len()));
    report.fact(format!(
        "{} promises shown, {} open",
        promises.shown, promises.open
    ));
    Ok(report)
}
