//! The direction of dependencies, checked on the paths a file writes down.
//!
//! The rules are in `layer_table`; this file only compares. Test code is free: a test may bring
//! up a whole daemon to look at one module.

use super::layer_table::{CRATES, Crate, IMPURE, NOT_FOR_CONSOLE, OWNED, PURE};
use super::paths::{self, Found};
use super::source::Source;
use crate::finding::Finding;

const TABLE: &str = "xtask/src/tidy/layer_table.rs";

/// What this rule finds in `source`.
pub fn check(source: &Source) -> Vec<Finding> {
    let folder = source.crate_folder();
    let Some(module) = source.module() else {
        return Vec::new();
    };
    let Some(home) = CRATES.iter().find(|c| c.folder == folder) else {
        let remedy = format!("give the crate its place in {TABLE}");
        return vec![Finding::new(
            &source.path,
            1,
            format!("crate `{folder}` has no place"),
            remedy,
        )];
    };
    let place = Place { home, module };
    let mut found: Vec<Finding> = place
        .missing()
        .map(|(w, r)| Finding::new(&source.path, 1, w, r))
        .into_iter()
        .collect();
    for path in paths::find(&source.code)
        .into_iter()
        .filter(|p| !source.is_test_line(p.line))
    {
        let line = path.line;
        let full = place.resolve(path);
        for (what, remedy) in place.violations(&full) {
            found.push(Finding::new(&source.path, line, what, remedy));
        }
    }
    found
}

/// A file's place in the architecture.
struct Place {
    home: &'static Crate,
    module: Vec<String>,
}

type Violation = (String, String);

impl Place {
    fn crate_name(&self) -> String {
        self.home.folder.replace('-', "_")
    }

    fn full_name(&self) -> String {
        let mut parts = vec![self.crate_name()];
        parts.extend(self.module.iter().cloned());
        parts.join("::")
    }

    /// A module that the table does not know.
    fn missing(&self) -> Option<Violation> {
        let top = self.module.first()?;
        let known = self.home.layers.is_empty() || self.layer_of(top).is_some();
        (!known).then(|| {
            (
                format!("module `{top}` of {} has no layer", self.home.folder),
                format!("give it its place in {TABLE}"),
            )
        })
    }

    /// Layers are counted from the top.
    fn layer_of(&self, module: &str) -> Option<usize> {
        self.home
            .layers
            .iter()
            .position(|layer| layer.contains(&module))
    }

    /// Replaces `crate`, `self`, `super` by what they stand for.
    fn resolve(&self, path: Found) -> Vec<String> {
        let mut rest = path.segments.into_iter().peekable();
        let mut full: Vec<String> = match rest.peek().map(String::as_str) {
            Some("crate") => vec![self.crate_name()],
            Some("self" | "super") => {
                let mut here = vec![self.crate_name()];
                here.extend(self.module.iter().cloned());
                here
            }
            _ => return rest.collect(),
        };
        while let Some(word) =
            rest.next_if(|word| matches!(word.as_str(), "crate" | "self" | "super"))
        {
            if word == "super" {
                full.pop();
            }
        }
        full.extend(rest);
        full
    }

    fn violations(&self, path: &[String]) -> Vec<Violation> {
        [
            self.stranger(path),
            self.upward(path),
            self.impure(path),
            self.owned(path),
            self.beyond_api(path),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Another crate of the workspace that this one may not know.
    fn stranger(&self, path: &[String]) -> Option<Violation> {
        let first = path.first()?;
        let is_ours = CRATES.iter().any(|c| c.folder.replace('-', "_") == *first);
        let allowed = *first == self.crate_name() || self.home.uses.contains(&first.as_str());
        // A lone word or a crate called `tests` is also a common name for a module.
        (is_ours && !allowed && path.len() > 1 && first != "tests").then(|| {
            (
                format!("{} must not know `{first}`", self.home.folder),
                "daemons meet in `common` and on the wire only; move what both need there"
                    .to_owned(),
            )
        })
    }

    /// A module of a higher layer of the same crate.
    fn upward(&self, path: &[String]) -> Option<Violation> {
        let own = self.module.first()?;
        let (first, other) = (path.first()?, path.get(1)?);
        let (from, to) = (self.layer_of(own)?, self.layer_of(other)?);
        (*first == self.crate_name() && to < from).then(|| {
            (
                format!("`{own}` is below `{other}` and must not use it"),
                "pass the fact or the result down as an argument, or move the type to the lower layer".to_owned(),
            )
        })
    }

    fn impure(&self, path: &[String]) -> Option<Violation> {
        let here = self.full_name();
        let pure = PURE.iter().find(|module| is_within(&here, module))?;
        let text = path.join("::");
        let named = IMPURE.iter().find(|impure| {
            let starts = is_within(&text, impure);
            starts
                || format!("::{text}::").contains(&format!("::{impure}::"))
                    && impure.contains("::now")
        })?;
        Some((
            format!("`{pure}` is pure and must not use `{named}`"),
            "gather the fact outside and pass it in; decide here; act outside".to_owned(),
        ))
    }

    fn owned(&self, path: &[String]) -> Option<Violation> {
        let here = self.full_name();
        let owned = OWNED
            .iter()
            .find(|owned| path.first().is_some_and(|first| first == owned.name))?;
        let allowed = owned.by.iter().any(|module| is_within(&here, module));
        (!allowed).then(|| {
            let remedy = format!("{}; allowed in {}", owned.because, owned.by.join(", "));
            (
                format!("`{}` does not belong in `{here}`", owned.name),
                remedy,
            )
        })
    }

    fn beyond_api(&self, path: &[String]) -> Option<Violation> {
        let text = path.join("::");
        let named = NOT_FOR_CONSOLE
            .iter()
            .find(|module| self.home.folder == "console" && is_within(&text, module))?;
        let remedy = "let the HTTP API answer it: the console uses nothing else".to_owned();
        Some((format!("the console must not use `{named}`"), remedy))
    }
}

/// Whether `path` is `module` or something inside of it.
fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `expected`: a part of the only finding, or empty for none.
    #[track_caller]
    fn finds(path: &str, code: &str, expected: &str) {
        let found: Vec<String> = check(&Source::new(Path::new(path), code))
            .iter()
            .map(ToString::to_string)
            .collect();
        match expected {
            "" => assert!(found.is_empty(), "{found:?}"),
            _ => assert!(found.len() == 1 && found[0].contains(expected), "{found:?}"),
        }
    }

    #[test]
    fn daemons_do_not_know_each_other() {
        finds(
            "director/src/runs/x.rs",
            "use storage_daemon::format::Block;",
            "director must not know `storage_daemon`",
        );
        finds("director/src/runs/x.rs", "use common::job::Level;", "");
        finds(
            "common/src/ids.rs",
            "use director::config::X;",
            "common must not know `director`",
        );
        finds("tests/src/harness.rs", "use director::config::X;", "");
    }

    #[test]
    fn dependencies_point_downward() {
        finds(
            "director/src/catalog/x.rs",
            "use crate::runs::Run;",
            "`catalog` is below `runs`",
        );
        finds("director/src/runs/x.rs", "use crate::catalog::Catalog;", "");
        finds("director/src/runs/x.rs", "use crate::tasks::prune;", "");
        finds(
            "director/src/policy/x.rs",
            "use super::super::catalog::Catalog;",
            "`policy` is below `catalog`",
        );
        finds(
            "director/src/policy/mod.rs",
            "pub use self::level::Level;",
            "",
        );
        finds(
            "storage-daemon/src/device/disk.rs",
            "fn f() { crate::volume::append() }",
            "`device` is below `volume`",
        );
        finds("director/src/main.rs", "use crate::api::serve;", "");
    }

    #[test]
    fn every_module_has_a_layer() {
        finds(
            "file-daemon/src/surprise/x.rs",
            "",
            "module `surprise` of file-daemon has no layer",
        );
        finds("surprise/src/x.rs", "", "crate `surprise` has no place");
    }

    #[test]
    fn pure_modules_touch_nothing() {
        finds(
            "director/src/policy/x.rs",
            "use std::{cmp, fs};",
            "must not use `std::fs`",
        );
        finds("director/src/policy/x.rs", "use std::time::Duration;", "");
        finds(
            "director/src/policy/x.rs",
            "let t = chrono::Utc::now();",
            "must not use `Utc::now`",
        );
        finds(
            "common/src/walk/x.rs",
            "use crate::clock::Clock;",
            "must not use `common::clock`",
        );
        finds(
            "director/src/runs/machine.rs",
            "use tokio::time::sleep;",
            "must not use `tokio`",
        );
        finds("director/src/runs/backup.rs", "use tokio::time::sleep;", "");
    }

    #[test]
    fn owned_crates_stay_with_their_owners() {
        finds(
            "director/src/runs/x.rs",
            "use sqlx::Row;",
            "`sqlx` does not belong in `director::runs::x`",
        );
        finds("director/src/catalog/x.rs", "use sqlx::Row;", "");
        finds(
            "director/src/catalog/x.rs",
            "use axum::Router;",
            "`axum` does not belong",
        );
    }

    #[test]
    fn the_console_knows_the_api_only() {
        finds(
            "console/src/x.rs",
            "use common::protocol::Frame;",
            "the console must not use `common::protocol`",
        );
        finds("console/src/x.rs", "use common::api::Run;", "");
    }

    #[test]
    fn tests_comments_and_strings_are_free() {
        finds(
            "director/src/policy/x.rs",
            "#[cfg(test)]\nmod tests {\n use std::fs;\n}\n",
            "",
        );
        finds(
            "director/src/policy/x.rs",
            "// std::fs::read\nlet x = \"std::fs::read\";",
            "",
        );
    }
}
