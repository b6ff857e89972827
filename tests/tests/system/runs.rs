//! A run while it goes on: seen, followed, cancelled; and who has to wait for whom.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::args;
use tests::compare::assert_same;
use tests::installation::{Installation, quoted, restored};
use tests::wait;

use crate::shared;

/// A job that goes on until the file `gate` is there, or somebody cancels it.
fn gated(holdfast: &Installation, name: &str) -> std::path::PathBuf {
    let source = holdfast.scratch(name);
    std::fs::write(source.join("x"), "x").unwrap();
    let gate = holdfast.absent(&format!("{name}-gate"));
    std::fs::create_dir_all(gate.parent().unwrap()).unwrap();
    let script = format!(
        "while ! [ -e {} ]; do sleep 0.05; done; echo open",
        gate.display()
    );
    let fileset = format!(
        "include = [{}]\ncommands = [{{ path = \"/gate\", read = [\"sh\", \"-c\", {script:?}] }}]",
        quoted(&source)
    );
    holdfast.job(name, &fileset);
    gate
}

fn status(holdfast: &Installation, id: u64) -> String {
    let run = holdfast.run(id).unwrap_or(Value::Null);
    run["status"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_running_run_is_canceled_within_ten_seconds_and_the_next_one_is_good() {
    let holdfast = shared::installation();
    let gate = gated(&holdfast, "canceled");
    let id = holdfast.start_run("canceled");
    wait::until_true("it runs", Duration::from_secs(20), || {
        status(&holdfast, id) == "running"
    });
    let from = Instant::now();
    let _ = holdfast
        .console()
        .ok(["cancel", &id.to_string(), "--reason", "link is needed"]);
    let run = holdfast.finished(id);
    assert!(
        from.elapsed() < Duration::from_secs(10),
        "{:?}",
        from.elapsed()
    );
    assert_eq!(run["status"], "canceled", "{run}");
    let told = format!("{} {}", run["reason"], holdfast.log_of(&run));
    assert!(told.contains("link is needed"), "{told}");
    let _ = holdfast
        .console()
        .run(["cancel", &id.to_string()])
        .expect_code(2);
    std::fs::write(gate, "").unwrap();
    holdfast.backup("canceled", 0);
}

#[test]
fn a_second_run_of_the_same_series_waits_with_its_reason_or_is_refused() {
    let holdfast = shared::installation();
    let gate = gated(&holdfast, "twice");
    let first = holdfast.start_run("twice");
    wait::until_true("it runs", Duration::from_secs(20), || {
        status(&holdfast, first) == "running"
    });
    let reply = holdfast.console().run(["run", "twice", "--json"]);
    if reply.code == 0 {
        let started = reply.json();
        let second = started["runs"][0]["job_id"]
            .as_u64()
            .unwrap_or_else(|| panic!("{started}"));
        wait::until_true("the second waits", Duration::from_secs(20), || {
            status(&holdfast, second) == "waiting"
        });
        let waiting = holdfast.run(second).unwrap();
        assert!(
            !waiting["waiting"].as_str().unwrap_or_default().is_empty(),
            "{waiting}"
        );
        std::fs::write(gate, "").unwrap();
        assert_eq!(holdfast.finished(first)["status"], "ok");
        assert_eq!(holdfast.finished(second)["status"], "ok");
    } else {
        assert!(
            reply.says(&first.to_string()),
            "the run in the way is named: {reply}"
        );
        std::fs::write(gate, "").unwrap();
        assert_eq!(holdfast.finished(first)["status"], "ok");
    }
}

#[test]
fn a_restore_does_not_wait_for_a_backup() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("not-queued");
    std::fs::write(source.join("x"), "x").unwrap();
    holdfast.job_over("not-queued", &source);
    holdfast.backup("not-queued", 0);
    let gate = gated(&holdfast, "in-the-way");
    let id = holdfast.start_run("in-the-way");
    wait::until_true("it runs", Duration::from_secs(20), || {
        status(&holdfast, id) == "running"
    });
    let to = holdfast.absent("not-queued");
    holdfast.restore("not-queued", &to);
    assert_same(&source, &restored(&to, &source));
    assert_eq!(status(&holdfast, id), "running");
    std::fs::write(gate, "").unwrap();
    assert_eq!(holdfast.finished(id)["status"], "ok");
}

#[test]
fn the_log_can_be_followed_to_the_end_and_the_exit_code_is_the_runs() {
    let holdfast = shared::installation();
    let gate = gated(&holdfast, "followed");
    let id = holdfast.start_run("followed").to_string();
    std::thread::scope(|scope| {
        let following = scope.spawn(|| holdfast.console().run(args!["log", &id, "--follow"]));
        wait::until_true("it runs", Duration::from_secs(20), || {
            status(&holdfast, id.parse().unwrap()) == "running"
        });
        assert!(!following.is_finished());
        std::fs::write(&gate, "").unwrap();
        let reply = following.join().unwrap().expect_code(0);
        assert!(!reply.out.is_empty(), "{reply}");
    });
}
