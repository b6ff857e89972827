//! Back up, change, back up again, restore, compare: the whole of what a backup is for.

use tests::args;
use tests::compare::{self, Compare, assert_same};
use tests::installation::{job_id, restored};
use tests::seed::Seed;
use tests::tree::plain::Plain;
use tests::tree::settled::wait_until_settled;
use tests::tree::{everything, mutate, plain};

use crate::shared;

#[test]
fn everything_a_file_is_comes_back_after_a_full_and_after_incrementals() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("everything");
    let seed = Seed::of_run(1);
    everything::make(&source, &seed);
    holdfast.job_over("everything", &source);

    let before = compare::accessed(&source);
    let full = holdfast.backup("everything", 0);
    assert_eq!(full["level"], "full");
    assert_eq!(
        before,
        compare::accessed(&source),
        "a backup leaves no trace in access times"
    );
    let first = holdfast.absent("everything-1");
    holdfast.restore("everything", &first);
    let found = compare::differences(&source, &restored(&first, &source), Compare::AccessTimesToo);
    assert!(found.is_empty(), "lost:\n  {}", found.join("\n  "));

    mutate::mutate(&source, &seed, 2);
    let second = holdfast.backup("everything", 0);
    assert_eq!(second["level"], "incremental");
    let now = holdfast.absent("everything-2");
    holdfast.restore("everything", &now);
    assert_same(&source, &restored(&now, &source));

    let then = holdfast.absent("everything-then");
    let at = job_id(&full).to_string();
    holdfast.restore_with(args!["--job", "everything", "--at", &at, "--to", &then], 0);
    assert_same(&restored(&first, &source), &restored(&then, &source));
}

#[test]
fn nothing_is_read_sent_or_stored_when_nothing_changed_and_a_full_reads_all() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("unchanged");
    let shape = Plain {
        folders: 5,
        files: 40,
        size_bytes: 5000,
    };
    plain::make(&source, &Seed::new(2), shape);
    holdfast.job_over("unchanged", &source);
    wait_until_settled(&source);
    let first = &holdfast.backup("unchanged", 0)["counts"];
    assert_eq!(
        (&first["files"], &first["protected_bytes"]),
        (&200.into(), &1_000_000.into())
    );
    assert_eq!(first["read_bytes"], 1_000_000);

    let second = holdfast.backup("unchanged", 0);
    let counts = &second["counts"];
    assert_eq!(
        (&counts["files"], &counts["protected_bytes"]),
        (&200.into(), &1_000_000.into())
    );
    for nothing in ["read_bytes", "files_read", "new_entries", "removed_entries"] {
        assert_eq!(counts[nothing], 0, "{nothing} of {second}");
    }
    assert!(
        counts["stored_bytes"].as_u64().unwrap() < 20_000,
        "{second}"
    );

    let third = holdfast.backup_with("unchanged", &["--level", "full"], 0);
    assert_eq!(
        (&third["level"], &third["counts"]["read_bytes"]),
        (&"full".into(), &1_000_000.into())
    );
    assert!(
        third["counts"]["stored_bytes"].as_u64().unwrap() < 20_000,
        "{third}"
    );
    let to = holdfast.absent("unchanged");
    holdfast.restore("unchanged", &to);
    assert_same(&source, &restored(&to, &source));
}

#[test]
fn a_changed_fileset_gives_a_full_with_the_reason_and_so_does_a_first_run() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("levels");
    std::fs::write(source.join("a.txt"), "a").unwrap();
    std::fs::write(source.join("b.tmp"), "b").unwrap();
    holdfast.job_over("levels", &source);
    let first = holdfast.backup_with("levels", &["--level", "incremental"], 0);
    assert_eq!(first["level"], "full");
    assert!(
        !first["level_reason"].as_str().unwrap().is_empty(),
        "{first}"
    );
    assert_eq!(holdfast.backup("levels", 0)["level"], "incremental");

    let fileset = format!(
        "include = [{}]\nrules = [\"exclude *.tmp\"]",
        tests::installation::quoted(&source)
    );
    holdfast.job("levels", &fileset);
    let third = holdfast.backup("levels", 0);
    assert_eq!(third["level"], "full");
    assert!(
        third["level_reason"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains("fileset"),
        "{third}"
    );
    assert_eq!(third["counts"]["files"], 1);
    assert_eq!(holdfast.backup("levels", 0)["level"], "incremental");
}

#[test]
fn runs_at_the_same_time_are_each_right() {
    let holdfast = shared::installation();
    let shape = Plain {
        folders: 3,
        files: 60,
        size_bytes: 20_000,
    };
    let sources: Vec<_> = (0..4)
        .map(|i| {
            let name = format!("at-once-{i}");
            let source = holdfast.scratch(&name);
            // Two of them hold the same bytes.
            plain::make(&source, &Seed::new(i / 2), shape);
            holdfast.job_over(&name, &source);
            (name, source)
        })
        .collect();
    let ids: Vec<u64> = sources
        .iter()
        .map(|(name, _)| holdfast.start_run(name))
        .collect();
    for id in ids {
        assert_eq!(holdfast.finished(id)["status"], "ok");
    }
    for (name, source) in &sources {
        let to = holdfast.absent(name);
        holdfast.restore(name, &to);
        assert_same(source, &restored(&to, source));
    }
}

#[test]
fn content_that_is_stored_already_is_not_stored_again() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("copies");
    let bytes = Seed::new(77).bytes(3_000_000);
    std::fs::write(source.join("one"), &bytes).unwrap();
    holdfast.job_over("copies", &source);
    wait_until_settled(&source);
    let first = holdfast.backup("copies", 0);
    assert!(
        first["counts"]["stored_bytes"].as_u64().unwrap() > 2_900_000,
        "{first}"
    );
    std::fs::write(source.join("two"), &bytes).unwrap();
    let second = holdfast.backup("copies", 0);
    assert_eq!(second["counts"]["read_bytes"], 3_000_000);
    let sent = second["counts"]["sent_bytes"].as_u64().unwrap();
    let stored = second["counts"]["stored_bytes"].as_u64().unwrap();
    assert!(sent < 100_000 && stored < 100_000, "{second}");
    let to = holdfast.absent("copies");
    holdfast.restore("copies", &to);
    assert_same(&source, &restored(&to, &source));
}
