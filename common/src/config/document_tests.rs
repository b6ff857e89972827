//! Every mistake is reported in one go, at its line, with a remedy.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::config::{Period, Secret, Size};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Whole {
    server: Server,
    #[serde(default)]
    job: BTreeMap<Spanned<String>, Job>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Server {
    listen: Vec<Spanned<String>>,
    password: Option<Secret>,
    limit: Option<Spanned<Size>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Job {
    level: Option<Level>,
    keep: Option<Spanned<Period>>,
    #[serde(default)]
    run: Vec<Run>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Full,
    Incremental,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Run {
    at: Spanned<String>,
}

fn problems(text: &str) -> Vec<(usize, String, String)> {
    let source = Source::from_text(Path::new("x.toml"), text);
    let mut problems = Problems::default();
    let _ = parse::<Whole>(&source, &mut problems);
    problems
        .or(())
        .err()
        .unwrap_or_default()
        .0
        .into_iter()
        .map(|p| (p.place.line(), p.reason, p.remedy.unwrap_or_default()))
        .collect()
}

#[test]
fn a_right_file_is_read_with_places() {
    let source = Source::from_text(
        Path::new("x.toml"),
        "[server]\nlisten = ['a']\npassword = 'secret'\n[job.night]\nlevel = 'full'\nkeep = '30d'\n",
    );
    let mut problems = Problems::default();
    let whole: Whole = parse(&source, &mut problems).unwrap();
    assert!(problems.0.is_empty());
    assert!(!format!("{whole:?}").contains("secret"));
    let (name, job) = whole.job.first_key_value().unwrap();
    assert_eq!(Place::new(&source, name.span()).to_string(), "x.toml:4");
    assert_eq!(job.keep.as_ref().unwrap().get_ref(), &Period::from_days(30));
}

#[test]
fn all_mistakes_are_reported_at_once_with_line_and_remedy() {
    let text = "\
[server]
listen = ['a', 7]
limit = '2G'
pasword = 'x'
[job.one]
lvel = 'full'
keep = '30m'
[job.two]
level = 'increment'
run = [{ at = 'x' }, { att = 'y' }]
keep = 30
";
    let found = problems(text);
    let lines: Vec<usize> = found.iter().map(|f| f.0).collect();
    assert_eq!(lines, [2, 3, 4, 6, 7, 9, 10, 11], "{found:#?}");
    let all = format!("{found:?}");
    for expected in [
        "unknown setting `pasword`",
        "did you mean `password`?",
        "did you mean `level`?",
        "did you mean `incremental`?",
        "did you mean `at`?",
        "30months",
        "2GiB",
        "expected a span of time",
    ] {
        assert!(all.contains(expected), "{expected} in {all}");
    }
}

#[test]
fn what_is_missing_and_what_is_not_toml_is_said() {
    assert_eq!(
        problems("[server]\n")[0].1,
        "the setting `listen` is missing"
    );
    let broken = problems("[server]\nlisten = [\nx = = 3\n[y\n");
    assert!(broken.len() >= 2, "{broken:?}");
    assert!(broken[0].1.starts_with("not valid TOML"));
}

#[test]
fn a_problem_shows_file_line_text_and_remedy() {
    let source = Source::from_text(
        Path::new("dir/x.toml"),
        "[server]\nlisten = []\nlimt = '2GiB'\n",
    );
    let mut problems = Problems::default();
    let _ = parse::<Whole>(&source, &mut problems);
    let shown = problems.to_string();
    for expected in [
        "dir/x.toml:3",
        "limt = '2GiB'",
        "unknown setting `limt`",
        "did you mean `limit`?",
        "1 error in",
    ] {
        assert!(shown.contains(expected), "{expected} in\n{shown}");
    }
}
