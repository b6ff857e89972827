//! Sources that cannot be read, are not there, change or vanish: named, counted, never fatal, never "OK" by mistake.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tests::args;
use tests::compare::assert_same;
use tests::installation::{last_run, quoted, restored};
use tests::seed::Seed;
use tests::tree::plain::{self, Plain};

use crate::shared;

#[test]
fn a_missing_source_is_named_and_counted_and_the_rest_is_saved() {
    let holdfast = shared::installation();
    let (source, missing) = (holdfast.scratch("there"), holdfast.absent("not-there"));
    std::fs::write(source.join("file"), "content").unwrap();
    holdfast.job(
        "missing-source",
        &format!("include = [{}, {}]", quoted(&source), quoted(&missing)),
    );
    let run = holdfast.backup("missing-source", 1);
    assert_eq!(
        (&run["status"], &run["warnings"]),
        (&"warnings".into(), &1.into()),
        "{run}"
    );
    let log = holdfast.log_of(&run);
    assert!(log.contains(missing.to_str().unwrap()), "{log}");
    let to = holdfast.absent("missing-source");
    holdfast.restore("missing-source", &to);
    assert_same(&source, &restored(&to, &source));
}

#[test]
fn an_unreadable_file_is_named_and_counted_and_the_rest_is_saved() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("unreadable");
    std::fs::write(source.join("file"), "content").unwrap();
    // Not even root may read this one.
    let unreadable = Path::new("/proc/sys/net/ipv4/route/flush");
    assert!(std::fs::read(unreadable).is_err());
    holdfast.job(
        "unreadable",
        &format!("include = [{}, {}]", quoted(&source), quoted(unreadable)),
    );
    let run = holdfast.backup("unreadable", 1);
    assert_eq!(
        (&run["status"], &run["counts"]["unsaved"]),
        (&"warnings".into(), &1.into()),
        "{run}"
    );
    assert!(holdfast.log_of(&run).contains(unreadable.to_str().unwrap()));
    let problems = holdfast
        .console()
        .run(args!["log", run["job_id"].to_string(), "--problems"]);
    assert!(problems.says(unreadable.to_str().unwrap()), "{problems}");
    let to = holdfast.absent("unreadable");
    holdfast.restore_with(
        args!["--job", "unreadable", "--to", &to, "--path", &source],
        0,
    );
    assert_same(&source, &restored(&to, &source));
}

#[test]
fn a_source_that_went_away_keeps_its_last_state_and_is_not_taken_for_deleted() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("unmounted");
    std::fs::write(source.join("file"), "content").unwrap();
    holdfast.job_over("unmounted", &source);
    holdfast.backup("unmounted", 0);
    let aside = source.with_file_name("unmounted-aside");
    std::fs::rename(&source, &aside).unwrap();
    std::fs::create_dir(&source).unwrap();
    let run = holdfast.backup("unmounted", 1);
    assert!(holdfast.log_of(&run).contains(source.to_str().unwrap()));
    let to = holdfast.absent("unmounted");
    holdfast.restore("unmounted", &to);
    assert_eq!(
        std::fs::read_to_string(restored(&to, &source).join("file")).unwrap(),
        "content"
    );
}

#[test]
fn a_file_that_grows_while_it_is_read_is_saved_at_its_true_length_and_flagged() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("growing");
    let path = source.join("log");
    std::fs::write(&path, vec![b'.'; 24 << 20]).unwrap();
    holdfast.job_over("growing", &source);
    let over = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::File::options().append(true).open(&path).unwrap();
            while !over.load(Ordering::SeqCst) {
                file.write_all(b"one more line\n").unwrap();
                tests::wait::pause();
            }
        });
        let run = holdfast
            .console()
            .run(["run", "growing", "--wait", "--json"]);
        over.store(true, Ordering::SeqCst);
        assert!(run.code < 2, "{run}");
        last_run(&run)
    });
    assert_eq!(run["counts"]["changed_while_read"], 1, "{run}");
    let to = holdfast.absent("growing");
    holdfast.restore("growing", &to);
    let restored = std::fs::read(restored(&to, &source).join("log")).unwrap();
    let now = std::fs::read(&path).unwrap();
    assert!(
        restored.len() >= 24 << 20 && now.starts_with(&restored),
        "a prefix of what the file became"
    );
}

#[test]
fn files_that_vanish_and_appear_all_the_time_are_never_fatal() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("restless");
    let shape = Plain {
        folders: 20,
        files: 30,
        size_bytes: 3000,
    };
    plain::make(&source, &Seed::new(1), shape);
    holdfast.job_over("restless", &source);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seed = Seed::new(2);
            while !over.load(Ordering::SeqCst) {
                let folder = source.join(format!("folder-{:04}", seed.below(20)));
                let name = folder.join(format!("file-{:05}", seed.below(30)));
                match seed.below(3) {
                    0 => drop(std::fs::remove_file(&name)),
                    1 => drop(std::fs::write(&name, seed.bytes(100))),
                    _ => drop(std::fs::rename(
                        &name,
                        folder.join(format!("new-{}", seed.below(9))),
                    )),
                }
            }
        });
        for _ in 0..3 {
            let run = holdfast.console().run(["run", "restless", "--wait"]);
            assert!(run.code < 2, "{run}");
        }
        over.store(true, Ordering::SeqCst);
    });
    holdfast.backup("restless", 0);
    let to = holdfast.absent("restless");
    holdfast.restore("restless", &to);
    assert_same(&source, &restored(&to, &source));
}
