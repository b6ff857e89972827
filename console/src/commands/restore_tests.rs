//! What the words of `restore` mean.
#![allow(clippy::unwrap_used, clippy::panic)]

use clap::Parser;

use super::*;
use crate::arguments::{Arguments, Command};

fn typed(words: &str) -> Result<RestoreArgs, clap::Error> {
    let words = ["holdfast", "restore"]
        .into_iter()
        .chain(words.split_whitespace());
    Arguments::try_parse_from(words).map(|a| match a.command {
        Command::Restore(a) => a,
        other => panic!("{other:?}"),
    })
}

fn paths(words: &str) -> String {
    match places(&typed(words).unwrap()) {
        Ok(s) => {
            let paths: Vec<String> = s.paths.into_iter().map(|p| p.0).collect();
            format!("{} {}", s.client.unwrap_or_default(), paths.join(" "))
        }
        Err(e) => e.to_string(),
    }
}

#[test]
fn clients_and_paths_are_gathered_from_all_forms() {
    for (words, meant) in [
        ("web01 --path /home/a --to /tmp/r", "web01 /home/a"),
        ("web01:/home/a", "web01 /home/a"),
        (
            "web01:/home/a /home/b --path /c/",
            "web01 /home/a /home/b /c",
        ),
        ("--job etc --to /tmp/back", " "),
        (
            "web01:/a web02:/b",
            "a restore is of one client, web01 and web02 are two",
        ),
    ] {
        assert_eq!(paths(words), meant, "{words}");
    }
}

#[test]
fn what_excludes_each_other_is_refused() {
    for words in [
        "web01 --at 17 --saved-by 17",
        "web01 --to /a --in-place",
        "web01 --dry-run --compare",
        "web01 --replace sometimes",
    ] {
        assert!(typed(words).is_err(), "{words}");
    }
    typed("web01 --path /home --at 17 --in-place --replace if-newer --dry-run").unwrap();
}
