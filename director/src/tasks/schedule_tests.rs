//! Schedules on a real catalog, at instants the test chooses: once per time, missed ones once, none while one waits.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Scheduler;
use crate::catalog::{Outcome, RunState};
use crate::runs::testing::Bench;

const CONFIG: &str = r#"
[director]
zone = "UTC"
[storage.s]
[pool.p]
[client.c]
[fileset.f]
include = ["/data"]
[schedule.daily]
run = [{ at = "0 21 * * *" }, { at = "0 3 * * *", level = "full" }]
[schedule.skipping]
run = [{ at = "0 21 * * *" }]
missed = "skip"
[job.j]
clients = ["c"]
fileset = "f"
schedule = "daily"
"#;

fn ms(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

async fn scheduler(config: &str) -> (Bench, Scheduler) {
    let bench = Bench::new(config).await;
    let scheduler = Scheduler {
        catalog: bench.catalog.clone(),
        config: Arc::clone(&bench.config),
        runs: bench.runs.clone(),
    };
    (bench, scheduler)
}

async fn unfinished(bench: &Bench) -> Vec<(String, String)> {
    let rows = bench.catalog.unfinished_runs().await.unwrap();
    let level = |r: &crate::catalog::Run| r.level.map(|l| l.to_string()).unwrap_or_default();
    rows.iter()
        .map(|r| (r.origin_name.clone(), level(r)))
        .collect()
}

async fn end_all(bench: &Bench) {
    for row in bench.catalog.unfinished_runs().await.unwrap() {
        let outcome = Outcome {
            state: RunState::Ok,
            text: String::new(),
            counts: None,
            ended_at: row.created_at,
        };
        bench
            .catalog
            .finish_run(row.job_id, &outcome)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_time_fires_once_and_missed_ones_are_made_up_for_by_one_run() {
    let (bench, scheduler) = scheduler(CONFIG).await;
    let next = scheduler
        .reconcile(ms("2026-01-01T20:00:00Z"))
        .await
        .unwrap();
    assert_eq!(next.unwrap().timestamp_millis(), ms("2026-01-01T21:00:00Z"));
    assert!(unfinished(&bench).await.is_empty());
    for _ in 0..3 {
        scheduler
            .reconcile(ms("2026-01-01T21:00:00Z"))
            .await
            .unwrap();
    }
    let expected = [("daily".to_owned(), "incremental".to_owned())];
    assert_eq!(unfinished(&bench).await, expected);
    // The next time comes while that run still waits: not queued behind itself.
    scheduler
        .reconcile(ms("2026-01-02T03:00:30Z"))
        .await
        .unwrap();
    assert_eq!(unfinished(&bench).await, expected);
    end_all(&bench).await;
    // Away for five days: one run for all missed times (the other line finds it waiting).
    scheduler
        .reconcile(ms("2026-01-07T12:00:00Z"))
        .await
        .unwrap();
    assert_eq!(unfinished(&bench).await.len(), 1);
    end_all(&bench).await;
    scheduler
        .reconcile(ms("2026-01-07T12:01:00Z"))
        .await
        .unwrap();
    assert!(unfinished(&bench).await.is_empty());
}

#[tokio::test]
async fn skipped_schedules_start_nothing_late_and_unconfigured_ones_are_forgotten() {
    let skipping = CONFIG.replace("schedule = \"daily\"", "schedule = \"skipping\"");
    let (bench, scheduler) = scheduler(&skipping).await;
    scheduler
        .reconcile(ms("2026-01-01T20:00:00Z"))
        .await
        .unwrap();
    let next = scheduler
        .reconcile(ms("2026-01-04T12:00:00Z"))
        .await
        .unwrap();
    assert_eq!(next.unwrap().timestamp_millis(), ms("2026-01-04T21:00:00Z"));
    assert!(unfinished(&bench).await.is_empty());
    scheduler
        .reconcile(ms("2026-01-04T21:00:01Z"))
        .await
        .unwrap();
    assert_eq!(unfinished(&bench).await.len(), 1);
    bench.rewrite(&CONFIG.replace("schedule = \"daily\"", "enabled = false"));
    assert_eq!(
        scheduler
            .reconcile(ms("2026-01-09T12:00:00Z"))
            .await
            .unwrap(),
        None
    );
    assert!(bench.catalog.schedule_states().await.unwrap().is_empty());
}
