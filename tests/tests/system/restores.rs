//! Which files come back, from when, to where.

use std::path::{Path, PathBuf};

use tests::args;
use tests::compare::{self, Compare, assert_same};
use tests::folder::Folder;
use tests::installation::{Installation, job_id, restored};

use crate::shared;

/// A tree with documents, backed up twice; between the two one file changed, one came, one went.
struct Twice {
    source: PathBuf,
    first: serde_json::Value,
    second: serde_json::Value,
}

fn twice(holdfast: &Installation, name: &str) -> Twice {
    let source = holdfast.scratch(name);
    for (path, text) in [
        ("docs/a.odt", "a one"),
        ("docs/b.txt", "b"),
        ("docs/deep/c.odt", "c"),
        ("pictures/d.png", "d"),
        ("gone", "gone later"),
    ] {
        let path = source.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    holdfast.job_over(name, &source);
    let first = holdfast.backup(name, 0);
    std::fs::write(source.join("docs/a.odt"), "a two, longer").unwrap();
    std::fs::write(source.join("docs/new.txt"), "new").unwrap();
    std::fs::remove_file(source.join("gone")).unwrap();
    let second = holdfast.backup(name, 0);
    Twice {
        source,
        first,
        second,
    }
}

/// Files below `to`, as paths below the source, sorted.
fn came(to: &Path, source: &Path) -> Vec<String> {
    let root = restored(to, source);
    if !root.exists() {
        return Vec::new();
    }
    let found = tests::corrupter::files(&root);
    found
        .iter()
        .map(|(path, _)| {
            path.strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn paths_and_patterns_bring_exactly_what_they_match() {
    let holdfast = shared::installation();
    let name = "selections";
    let Twice { source, .. } = twice(&holdfast, name);
    let path = |p: &str| source.join(p).to_str().unwrap().to_owned();
    let cases: Vec<(&str, Vec<String>, Vec<&str>)> = vec![
        (
            "file",
            vec!["--path".into(), path("docs/b.txt")],
            vec!["docs/b.txt"],
        ),
        (
            "folders",
            vec![
                "--path".into(),
                path("docs/deep"),
                "--path".into(),
                path("pictures"),
            ],
            vec!["docs/deep/c.odt", "pictures/d.png"],
        ),
        (
            "glob",
            vec!["--glob".into(), "**/*.odt".into()],
            vec!["docs/a.odt", "docs/deep/c.odt"],
        ),
        (
            "glob-in",
            vec!["--glob".into(), format!("{}/*.odt", path("docs"))],
            vec!["docs/a.odt"],
        ),
        (
            "regex",
            vec!["--regex".into(), "/[bd]\\.(txt|png)$".into()],
            vec!["docs/b.txt", "pictures/d.png"],
        ),
        (
            "exclude",
            vec![
                "--path".into(),
                path("docs"),
                "--exclude".into(),
                path("docs/deep"),
            ],
            vec!["docs/a.odt", "docs/b.txt", "docs/new.txt"],
        ),
    ];
    for (case, selection, expected) in cases {
        let to = holdfast.absent(&format!("{name}-{case}"));
        let mut words = args!["--job", name, "--to", &to];
        words.extend(selection.iter().map(|w| w.as_str().into()));
        holdfast.restore_with(words, 0);
        assert_eq!(came(&to, &source), expected, "{case}");
    }
}

#[test]
fn as_of_a_run_as_of_a_time_and_saved_by_a_run() {
    let holdfast = shared::installation();
    let name = "moments";
    let Twice {
        source,
        first,
        second,
    } = twice(&holdfast, name);
    let (first_id, second_id) = (job_id(&first).to_string(), job_id(&second).to_string());
    let before = [
        "docs/a.odt",
        "docs/b.txt",
        "docs/deep/c.odt",
        "gone",
        "pictures/d.png",
    ];

    let to = holdfast.absent("moments-run");
    holdfast.restore_with(args!["--job", name, "--at", &first_id, "--to", &to], 0);
    assert_eq!(came(&to, &source), before);
    assert_eq!(
        std::fs::read_to_string(restored(&to, &source).join("docs/a.odt")).unwrap(),
        "a one"
    );

    let time = first["ended_at"].as_str().unwrap();
    let to = holdfast.absent("moments-time");
    holdfast.restore_with(args!["--job", name, "--at", time, "--to", &to], 0);
    assert_eq!(came(&to, &source), before, "as of {time}");

    let to = holdfast.absent("moments-saved-by");
    holdfast.restore_with(
        args!["--job", name, "--saved-by", &second_id, "--to", &to],
        0,
    );
    assert_eq!(came(&to, &source), ["docs/a.odt", "docs/new.txt"]);
}

#[test]
fn a_restore_without_a_target_goes_to_a_new_folder() {
    let holdfast = shared::installation();
    let name = "new-folder";
    let Twice { source, .. } = twice(&holdfast, name);
    let run = holdfast.restore_with(args!["--job", name], 0);
    let to = PathBuf::from(
        run["restore"]["to"]
            .as_str()
            .unwrap_or_else(|| panic!("{run}")),
    );
    assert_ne!(to, Path::new("/"));
    assert_same(&source, &restored(&to, &source));
    tests::folder::remove_tree(&to);
}

/// All the same but the folder itself: what is stripped gives its attributes to nothing.
#[track_caller]
fn assert_below_same(original: &Path, restored: &Path) {
    let mut found = compare::differences(original, restored, Compare::Usual);
    found.retain(|line| !line.starts_with(".: "));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn leading_parts_are_stripped_and_put_in_front() {
    let holdfast = shared::installation();
    let name = "relocation";
    let Twice { source, .. } = twice(&holdfast, name);
    let to = holdfast.absent("relocation-strip");
    holdfast.restore_with(args!["--job", name, "--to", &to, "--strip", &source], 0);
    assert_below_same(&source, &to);
    let to = holdfast.absent("relocation-prefix");
    holdfast.restore_with(
        args![
            "--job",
            name,
            "--to",
            &to,
            "--strip",
            source.join("docs").as_path(),
            "--prefix",
            "/old/x",
            "--path",
            source.join("docs").as_path()
        ],
        0,
    );
    assert_below_same(&source.join("docs"), &to.join("old/x"));
}

#[test]
fn the_second_name_of_a_hard_link_alone_has_the_content() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("second-name");
    let root = Folder::open(&source);
    root.file(b"first", &tests::seed::Seed::new(1).bytes(2_000_000));
    root.link(b"second", &root, b"first");
    root.file(b"small-first", b"small");
    root.link(b"small-second", &root, b"small-first");
    holdfast.job_over("second-name", &source);
    holdfast.backup("second-name", 0);
    let to = holdfast.absent("second-name");
    holdfast.restore_with(
        args![
            "--job",
            "second-name",
            "--to",
            &to,
            "--path",
            source.join("second").as_path(),
            "--path",
            source.join("small-second").as_path()
        ],
        0,
    );
    for name in ["second", "small-second"] {
        let restored = std::fs::read(restored(&to, &source).join(name)).unwrap();
        assert!(
            restored == std::fs::read(source.join(name)).unwrap(),
            "{name}"
        );
    }
    assert_eq!(came(&to, &source), ["second", "small-second"]);
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let holdfast = shared::installation();
    let name = "dry-run";
    let Twice { source, .. } = twice(&holdfast, name);
    let to = holdfast.absent("dry-run");
    let run = holdfast.restore_with(args!["--job", name, "--to", &to, "--dry-run"], 0);
    assert!(!to.exists());
    let log = holdfast.log_of(&run);
    assert!(
        log.contains("docs/a.odt") && log.contains("pictures/d.png"),
        "{log}"
    );
    std::fs::write(source.join("docs/a.odt"), "changed since").unwrap();
    holdfast.restore_with(args!["--job", name, "--in-place", "--dry-run"], 0);
    assert_eq!(
        std::fs::read_to_string(source.join("docs/a.odt")).unwrap(),
        "changed since"
    );
}

#[test]
fn a_comparison_says_exactly_what_differs_from_the_live_files() {
    let holdfast = shared::installation();
    let name = "comparison";
    let Twice { source, .. } = twice(&holdfast, name);
    let run = holdfast.restore_with(args!["--job", name, "--in-place", "--compare"], 0);
    assert_eq!(run["status"], "ok", "{run}");
    std::fs::write(source.join("docs/b.txt"), "B").unwrap();
    std::fs::remove_file(source.join("pictures/d.png")).unwrap();
    let root = Folder::open(&source.join("docs"));
    root.mode(b"a.odt", 0o600);
    let run = holdfast.restore_with(args!["--job", name, "--in-place", "--compare"], 1);
    let log = holdfast.log_of(&run);
    for path in ["docs/b.txt", "pictures/d.png", "docs/a.odt"] {
        assert!(log.contains(path), "{path} expected in {log}");
    }
    assert!(
        !log.contains("docs/new.txt") && !log.contains("c.odt"),
        "{log}"
    );
    assert!(
        !source.join("pictures/d.png").exists(),
        "a comparison writes nothing"
    );
}

#[test]
fn what_does_not_exist_is_refused_with_what_does() {
    let holdfast = shared::installation();
    let name = "not-there";
    let Twice { source, .. } = twice(&holdfast, name);
    let ask = |words: Vec<tests::console::Word>| {
        let words = args!["restore"].into_iter().chain(words);
        holdfast.console().run(words).expect_code(2)
    };
    let to = holdfast.absent("not-there");
    let missing = source.join("docs/nothing");
    let _ = ask(args!["--job", name, "--to", &to, "--path", &missing])
        .expect_text(missing.to_str().unwrap());
    let _ = ask(args!["--job", "no-such-job", "--to", &to]).expect_text("no-such-job");
    let _ = ask(args!["--job", name, "--at", "999999", "--to", &to]).expect_text("999999");
    let _ = ask(args!["no-such-client", "--to", &to]).expect_text("no-such-client");
    assert!(!to.exists());
}

#[test]
fn another_client_takes_the_files() {
    let holdfast = shared::installation();
    let name = "other-client";
    let Twice { source, .. } = twice(&holdfast, name);
    let _other = holdfast.client("taker");
    let to = holdfast.absent("other-client");
    let run = holdfast.restore_with(args!["--job", name, "--to-client", "taker", "--to", &to], 0);
    assert_eq!(run["client"], "taker", "{run}");
    assert_same(&source, &restored(&to, &source));
}
