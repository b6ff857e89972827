//! Each daemon and PostgreSQL killed in mid-run: never a false "OK", nothing acknowledged lost, no hand needed.
//!
//! The last test kills at places from a seed (`HOLDFAST_SEED`), twice, or `HOLDFAST_KILLS` times; each round checks
//! everything.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::args;
use tests::compare::assert_same;
use tests::installation::{Daemon, Installation, job_id, restored};
use tests::seed::Seed;
use tests::tree::plain::{self, Plain};
use tests::wait;

/// What is killed.
const ALL: [Daemon; 4] = [
    Daemon::Client,
    Daemon::Storage,
    Daemon::Director,
    Daemon::Postgres,
];
/// One round's new files: about 40 MB, some seconds for a debug build.
const SHAPE: Plain = Plain {
    folders: 10,
    files: 40,
    size_bytes: 100_000,
};

/// An installation, a tree that grows each round, and what was acknowledged so far.
struct Victim {
    holdfast: Installation,
    source: PathBuf,
    good: Vec<u64>,
    rounds: u32,
}

impl Victim {
    fn new() -> Self {
        let holdfast = Installation::start();
        let source = holdfast.scratch("victim");
        std::fs::write(source.join("first"), "first").unwrap();
        holdfast.job_over("victim", &source);
        let first = holdfast.backup("victim", 0);
        Self {
            good: vec![job_id(&first)],
            holdfast,
            source,
            rounds: 0,
        }
    }

    /// New files, a run, a kill after about `bytes` were protected; then everything must be right without a hand.
    fn round(&mut self, daemon: Daemon, bytes: u64, seed: &Seed) {
        self.rounds += 1;
        let round = self.rounds;
        plain::make(
            &self.source.join(format!("round-{round}")),
            &seed.fork(&round.to_string()),
            SHAPE,
        );
        let id = self.holdfast.start_run("victim");
        self.moved(id, bytes);
        eprintln!("round {round}: kill {daemon:?} after {bytes} bytes of run {id}");
        self.holdfast.kill(daemon);
        let killed = Instant::now();
        if daemon != Daemon::Postgres {
            self.holdfast.up();
        }
        self.holdfast.connected();
        let ready = killed.elapsed();
        let run = self.holdfast.finished(id);
        assert_eq!(job_id(&run), id);
        assert!(
            ready < Duration::from_secs(40),
            "ready again after {ready:?}"
        );
        match run["status"].as_str().unwrap() {
            "ok" => self.holds(id),
            "incomplete" | "error" => {
                assert!(
                    !run["reason"].as_str().unwrap_or_default().is_empty(),
                    "a reason expected: {run}"
                );
                assert!(
                    run["number"].is_null(),
                    "a run that failed has no snapshot: {run}"
                );
            }
            other => panic!("{other} after a kill of {daemon:?}: {run}"),
        }
        // The next run needs no hand, and everything acknowledged earlier is still there.
        let next = self.holdfast.backup("victim", 0);
        self.holds(job_id(&next));
        self.holdfast.check_logs(&[" WARN ", " ERROR "]);
    }

    /// The run was acknowledged: it restores to what the source is.
    fn holds(&mut self, id: u64) {
        self.good.push(id);
        let to = self.holdfast.absent(&format!("holds-{}-{id}", self.rounds));
        let at = id.to_string();
        self.holdfast
            .restore_with(args!["--job", "victim", "--at", &at, "--to", &to], 0);
        assert_same(&self.source, &restored(&to, &self.source));
        tests::folder::remove_tree(&to);
    }

    /// Waits until a run has moved so much, or is over.
    fn moved(&self, id: u64, bytes: u64) {
        wait::until_true(
            &format!("run {id} moved {bytes} bytes"),
            Duration::from_secs(30),
            || {
                let run = self.holdfast.run(id).unwrap_or(Value::Null);
                let over = matches!(
                    run["status"].as_str(),
                    Some("ok" | "error" | "warnings" | "incomplete")
                );
                over || run["counts"]["read_bytes"].as_u64().unwrap_or(0) >= bytes
                    && run["status"] == "running"
            },
        );
    }

    /// The very first snapshot is as it was.
    fn first_is_there(&self) {
        let to = self.holdfast.absent("first");
        let at = self.good[0].to_string();
        self.holdfast
            .restore_with(args!["--job", "victim", "--at", &at, "--to", &to], 0);
        let there = restored(&to, &self.source);
        assert_eq!(
            std::fs::read_to_string(there.join("first")).unwrap(),
            "first"
        );
        assert_eq!(std::fs::read_dir(there).unwrap().count(), 1);
    }
}

#[test]
fn a_daemon_killed_early_in_a_run_loses_nothing_and_needs_no_hand() {
    let mut victim = Victim::new();
    for daemon in ALL {
        victim.round(daemon, 0, &Seed::new(11));
    }
    victim.first_is_there();
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_run_loses_nothing_and_needs_no_hand() {
    let mut victim = Victim::new();
    for daemon in ALL {
        victim.round(daemon, 8_000_000, &Seed::new(12));
    }
    victim.first_is_there();
}

#[test]
fn kills_at_places_from_a_seed_lose_nothing() {
    let rounds = std::env::var("HOLDFAST_KILLS").map_or(2, |n| n.parse::<u32>().unwrap());
    let mut seed = Seed::of_run(u64::from(std::process::id()));
    let mut victim = Victim::new();
    for _ in 0..rounds {
        let (daemon, bytes) = (*seed.pick(&ALL), seed.below(40_000_000));
        victim.round(daemon, bytes, &seed);
        if victim.rounds.is_multiple_of(10) {
            victim.first_is_there();
        }
    }
}

#[test]
fn a_restore_whose_daemon_is_killed_leaves_no_half_file_and_works_when_repeated() {
    let holdfast = Installation::start();
    let source = holdfast.scratch("restored");
    plain::make(&source, &Seed::new(13), SHAPE);
    holdfast.job_over("restored", &source);
    holdfast.backup("restored", 0);
    for daemon in [Daemon::Client, Daemon::Storage] {
        let to = holdfast.absent(&format!("killed-{daemon:?}"));
        let started = holdfast.console().json(args![
            "restore",
            "--job",
            "restored",
            "--to",
            &to,
            "--no-wait"
        ]);
        let id = started["run"]["job_id"]
            .as_u64()
            .or(started["job_id"].as_u64())
            .unwrap_or_else(|| panic!("{started}"));
        wait::until_true("files arrive", Duration::from_secs(30), || {
            restored(&to, &source).exists()
        });
        holdfast.kill(daemon);
        holdfast.up();
        holdfast.connected();
        let run = holdfast.finished(id);
        if run["status"] == "ok" {
            assert_same(&source, &restored(&to, &source));
        }
        for (path, _) in tests::corrupter::files(&to) {
            let name = path.strip_prefix(restored(&to, &source)).unwrap();
            if let Ok(original) = std::fs::read(source.join(name)) {
                assert!(
                    std::fs::read(&path).unwrap() == original,
                    "half a file: {}",
                    path.display()
                );
            }
        }
        holdfast.restore_with(args!["--job", "restored", "--to", &to], 0);
        let restored = restored(&to, &source);
        let found = tests::compare::differences(&source, &restored, tests::compare::Compare::Usual);
        let real: Vec<_> = found
            .iter()
            .filter(|line| !line.contains("was not in the original"))
            .collect();
        assert!(real.is_empty(), "{real:?}");
    }
    holdfast.check_logs(&[" WARN ", " ERROR "]);
}

#[test]
fn stopping_and_starting_everything_disturbs_nothing() {
    let holdfast = Installation::start();
    let source = holdfast.scratch("restarted");
    std::fs::write(source.join("x"), "x").unwrap();
    holdfast.job_over("restarted", &source);
    holdfast.backup("restarted", 0);
    let _ = holdfast.console().ok(["down"]);
    for daemon in [Daemon::Director, Daemon::Storage, Daemon::Client] {
        assert!(
            holdfast
                .pid(daemon)
                .is_none_or(|pid| !tests::installation::is_alive(pid)),
            "{daemon:?}"
        );
    }
    let _ = holdfast.console().run(["status"]).expect_code(2);
    holdfast.up();
    holdfast.connected();
    assert_eq!(holdfast.backup("restarted", 0)["level"], "incremental");
    let to = holdfast.absent("restarted");
    holdfast.restore("restarted", &to);
    assert_same(&source, &restored(&to, &source));
    holdfast.check_logs(&[]);
}
