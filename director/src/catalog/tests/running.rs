//! Runs, queue, logs, leases.

use common::protocol::orders::{LogLine, Severity};

use super::super::{MAX_LOG_LINES, RunFilter};
use super::*;

#[tokio::test]
async fn a_run_is_found_as_it_was_queued() {
    let catalog = catalog().await;
    let id = catalog
        .create_run(&backup("nightly", "web01"))
        .await
        .unwrap();
    assert_eq!(id, JobId(1), "JobIds start at 1");
    let run = catalog.run(id).await.unwrap().unwrap();
    assert_eq!(
        (run.job.as_str(), run.client.as_str()),
        ("nightly", "web01")
    );
    assert_eq!(
        (run.state, run.kind, run.level),
        (RunState::Queued, RunKind::Backup, Some(Level::Incremental))
    );
    assert_eq!(
        (run.origin, run.created_at, run.scheduled_at),
        (Origin::User, at(0), at(0))
    );
    assert_eq!(run.parameters["level"], "incremental");
    assert_eq!(catalog.run(JobId(99)).await.unwrap(), None);
    assert_eq!(catalog.run(JobId(u64::MAX)).await.unwrap(), None);
}

#[tokio::test]
async fn of_two_that_claim_a_run_one_wins() {
    let catalog = catalog().await;
    let id = catalog
        .create_run(&backup("nightly", "web01"))
        .await
        .unwrap();
    let start = RunStart::default();
    let (a, b) = tokio::join!(
        catalog.start_run(id, &start, at(1)),
        catalog.start_run(id, &start, at(2))
    );
    assert_ne!(a.unwrap(), b.unwrap());
    let moved = catalog
        .move_run(id, &[RunState::Queued], RunState::Waiting, "client busy")
        .await
        .unwrap();
    assert!(!moved, "it is running by now");
    assert!(
        catalog
            .move_run(id, &[RunState::Running], RunState::Committing, "")
            .await
            .unwrap()
    );
    assert_eq!(
        catalog.run(id).await.unwrap().unwrap().state,
        RunState::Committing
    );
}

#[tokio::test]
async fn a_run_that_is_over_stays_as_it_ended() {
    let catalog = catalog().await;
    let id = catalog
        .create_run(&backup("nightly", "web01"))
        .await
        .unwrap();
    assert!(
        catalog
            .move_run(id, &[RunState::Queued], RunState::Ok, "")
            .await
            .is_err(),
        "ending has its own way"
    );
    assert!(
        catalog
            .finish_run(id, &ended(RunState::Running, 5))
            .await
            .is_err()
    );
    let outcome = Outcome {
        state: RunState::Canceled,
        text: "canceled by admin".into(),
        counts: Some(stored::Counts {
            files: 4,
            unsaved: 1,
            ..Default::default()
        }),
        ended_at: at(5),
    };
    assert!(catalog.finish_run(id, &outcome).await.unwrap());
    assert!(
        !catalog
            .finish_run(id, &ended(RunState::Ok, 6))
            .await
            .unwrap()
    );
    assert!(
        !catalog
            .start_run(id, &RunStart::default(), at(6))
            .await
            .unwrap()
    );
    let run = catalog.run(id).await.unwrap().unwrap();
    assert_eq!(
        (run.state, run.outcome.as_str(), run.ended_at),
        (RunState::Canceled, "canceled by admin", Some(at(5)))
    );
    assert_eq!((run.counts.files, run.counts.unsaved), (4, 1));
}

#[tokio::test]
async fn the_queue_survives_and_goes_by_priority_then_time() {
    let catalog = catalog().await;
    let make = |priority, due| NewRun {
        priority,
        scheduled_at: at(due),
        ..backup("nightly", "web01")
    };
    let mut ids = Vec::new();
    for (priority, due) in [(10, 50), (10, 20), (5, 90), (10, 20)] {
        ids.push(catalog.create_run(&make(priority, due)).await.unwrap());
    }
    let order = |runs: Vec<Run>| runs.into_iter().map(|r| r.job_id.0).collect::<Vec<_>>();
    assert_eq!(order(catalog.queue(10).await.unwrap()), [3, 2, 4, 1]);
    assert_eq!(order(catalog.queue(2).await.unwrap()), [3, 2]);
    assert!(catalog.set_priority(ids[0], 1).await.unwrap());
    assert!(
        catalog
            .start_run(ids[0], &RunStart::default(), at(1))
            .await
            .unwrap()
    );
    assert!(
        !catalog.set_priority(ids[0], 2).await.unwrap(),
        "it has started"
    );
    assert_eq!(order(catalog.started_runs().await.unwrap()), [1]);
    assert_eq!(
        order(catalog.unfinished_runs().await.unwrap()),
        [1, 2, 3, 4]
    );
}

#[tokio::test]
async fn history_is_filtered_and_paged() {
    let catalog = catalog().await;
    for n in 0..6_i64 {
        let job = if n % 2 == 0 { "nightly" } else { "weekly" };
        let id = catalog
            .create_run(&NewRun {
                created_at: at(n),
                ..backup(job, "web01")
            })
            .await
            .unwrap();
        if n < 3 {
            catalog
                .finish_run(id, &ended(RunState::Ok, n))
                .await
                .unwrap();
        }
    }
    let list = async |filter: RunFilter, limit| {
        let runs = catalog.runs(&filter, limit).await.unwrap();
        runs.into_iter().map(|r| r.job_id.0).collect::<Vec<_>>()
    };
    let all = RunFilter::default;
    assert_eq!(list(all(), 10).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(list(all(), 2).await, [6, 5]);
    assert_eq!(
        list(
            RunFilter {
                before: Some(JobId(5)),
                ..all()
            },
            2
        )
        .await,
        [4, 3]
    );
    assert_eq!(
        list(
            RunFilter {
                job: Some("weekly".into()),
                ..all()
            },
            10
        )
        .await,
        [6, 4, 2]
    );
    assert_eq!(
        list(
            RunFilter {
                client: Some("db01".into()),
                ..all()
            },
            10
        )
        .await,
        [] as [u64; 0]
    );
    assert_eq!(
        list(
            RunFilter {
                states: vec![RunState::Ok],
                ..all()
            },
            10
        )
        .await,
        [3, 2, 1]
    );
    assert_eq!(
        list(
            RunFilter {
                kinds: vec![RunKind::Restore],
                ..all()
            },
            10
        )
        .await,
        [] as [u64; 0]
    );
    assert_eq!(
        list(
            RunFilter {
                since: Some(at(1)),
                until: Some(at(4)),
                ..all()
            },
            10
        )
        .await,
        [4, 3, 2]
    );
    let last = catalog.last_run("nightly", Some("web01")).await.unwrap();
    assert_eq!(last.map(|r| r.job_id), Some(JobId(3)));
    assert_eq!(
        catalog.last_run("weekly", Some("db01")).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn log_lines_keep_their_order_whoever_writes() {
    let catalog = catalog().await;
    let id = catalog
        .create_run(&backup("nightly", "web01"))
        .await
        .unwrap();
    let line = |text: &str| LogLine {
        at_ms: 5,
        severity: Severity::Warning.into(),
        text: text.into(),
    };
    let lines = [line("a"), line("b\0c"), line(&"x".repeat(20_000))];
    let (one, two) = tokio::join!(
        catalog.append_log(id, &lines),
        catalog.append_log(id, &lines)
    );
    assert_eq!(one.unwrap().max(two.unwrap()), 6);
    let read = catalog.read_log(id, 0, 100).await.unwrap();
    assert_eq!(
        read.iter().map(|l| l.seq).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        (read[1].text.as_str(), read[1].severity),
        ("b\\x00c", Severity::Warning)
    );
    assert!(read[2].text.len() < 10_000);
    let rest = catalog.read_log(id, 4, 1).await.unwrap();
    assert_eq!(rest.iter().map(|l| l.seq).collect::<Vec<_>>(), [5]);
    assert!(catalog.append_log(JobId(9), &lines).await.is_err());
    assert_eq!(catalog.append_log(id, &[]).await.unwrap(), 6);
}

#[tokio::test]
async fn a_log_has_a_bound_and_says_how_much_there_was() {
    let catalog = catalog().await;
    let id = catalog
        .create_run(&backup("nightly", "web01"))
        .await
        .unwrap();
    let line = LogLine {
        at_ms: 0,
        severity: 0,
        text: "unreadable".into(),
    };
    let lines = vec![line; MAX_LOG_LINES as usize + 10];
    assert_eq!(
        catalog.append_log(id, &lines).await.unwrap(),
        MAX_LOG_LINES + 10
    );
    assert_eq!(
        catalog.append_log(id, &lines[..5]).await.unwrap(),
        MAX_LOG_LINES + 15
    );
    let kept = catalog.read_log(id, MAX_LOG_LINES - 1, 100).await.unwrap();
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn a_series_has_one_writer_and_never_uses_a_number_twice() {
    let line = Line::new().await;
    let again = line
        .catalog
        .series_for("nightly", Uuid::from_u128(1), "web01-new")
        .await
        .unwrap();
    assert_eq!(
        (again.id, again.client.as_str()),
        (line.series.id, "web01-new")
    );
    let (first, number) = line.start().await;
    assert_eq!(number, Number(1));
    let second = line
        .catalog
        .create_run(&backup("nightly", "web01"))
        .await
        .unwrap();
    assert_eq!(
        line.catalog
            .lease_series(line.series.id, second)
            .await
            .unwrap(),
        None
    );
    let same = line
        .catalog
        .lease_series(line.series.id, first)
        .await
        .unwrap();
    assert_eq!(
        same,
        Some(Number(1)),
        "the holder gets the same number again"
    );
    line.catalog
        .finish_run(first, &ended(RunState::Error, 3))
        .await
        .unwrap();
    assert_eq!(
        line.catalog
            .lease_series(line.series.id, second)
            .await
            .unwrap(),
        Some(Number(2))
    );
    // A Director that died between the end of a run and the release leaves a dead lease.
    sqlx::query("UPDATE run SET ended_at = now(), state = 'error' WHERE job_id = $1")
        .bind(2_i64)
        .execute(line.catalog.pool())
        .await
        .unwrap();
    assert_eq!(line.catalog.release_dead_leases().await.unwrap(), 1);
    let series = line.catalog.series(line.series.id).await.unwrap().unwrap();
    assert_eq!(
        (series.lease, series.head, series.next_number),
        (None, Number(0), Number(3))
    );
    assert_eq!(
        line.catalog
            .list_series(Some("nightly"), None)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        line.catalog
            .list_series(None, Some("nobody"))
            .await
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test]
async fn progress_and_checkpoint_are_remembered() {
    let line = Line::new().await;
    let (id, _) = line.start().await;
    let counts = stored::Counts {
        entries: 7,
        changed_while_read: 2,
        ..Default::default()
    };
    line.catalog.record_counts(id, &counts).await.unwrap();
    line.catalog
        .record_checkpoint(id, PageId::of(b"checkpoint"))
        .await
        .unwrap();
    let run = line.run(id).await;
    assert_eq!(
        (run.counts, run.checkpoint),
        (counts, Some(PageId::of(b"checkpoint")))
    );
    assert_eq!(
        (run.level, run.level_reason.as_str()),
        (Some(Level::Full), "no base")
    );
    assert_eq!(
        (run.series, run.number),
        (Some(line.series.id), Some(Number(1)))
    );
    assert_eq!(run.started_at, Some(at(1)));
}
