//! Publishing, bases, copies, pruning.

use common::ids::SnapshotId;

use super::super::browse::DirId;
use super::super::{CatalogError, Copy, Pruned, SnapshotFilter, SnapshotState};
use super::*;

#[tokio::test]
async fn publishing_is_all_or_nothing_and_happens_once() {
    let line = Line::new().await;
    let (job_id, number) = line.start().await;
    let snapshot = line.stored(job_id, number, None);
    assert!(line.publish(&snapshot).await);
    assert!(
        !line.publish(&snapshot).await,
        "a second time changes nothing"
    );
    let run = line.run(job_id).await;
    assert_eq!(
        (run.state, run.snapshot),
        (RunState::Ok, Some(snapshot.id()))
    );
    let series = line.catalog.series(line.series.id).await.unwrap().unwrap();
    assert_eq!((series.head, series.lease), (Number(1), None));
    let found = line.catalog.snapshot(snapshot.id()).await.unwrap().unwrap();
    assert_eq!(
        (found.number, found.job_id, found.root.0.to_vec()),
        (number, job_id, snapshot.root.clone())
    );
    assert_eq!(
        (found.pool.as_str(), found.storage, found.keep_until),
        ("main", Some(Uuid::from_u128(9)), None)
    );
    assert_eq!(
        (
            found.job.as_str(),
            found.client.as_str(),
            found.counts.files
        ),
        ("nightly", "web01", 3)
    );
    assert_eq!(
        line.catalog.snapshot_of_run(job_id).await.unwrap(),
        Some(found.clone())
    );
    assert_eq!(
        line.catalog
            .last_good_snapshot(line.series.id)
            .await
            .unwrap(),
        Some(found)
    );
    let copies = line.catalog.copies(snapshot.id()).await.unwrap();
    assert_eq!(
        copies
            .iter()
            .map(|c| (c.pool.as_str(), c.state))
            .collect::<Vec<_>>(),
        [("main", SnapshotState::Good)]
    );
}

#[tokio::test]
async fn a_number_is_one_snapshot_and_failure_leaves_no_trace() {
    let line = Line::new().await;
    line.snapshot(None).await;
    let (job_id, number) = line.start().await;
    let mut other = line.stored(job_id, Number(1), None);
    other.host = "another".into();
    let publication = Publication {
        snapshot: &other,
        series: line.series.id,
        storage: Uuid::from_u128(9),
        outcome: ended(RunState::Ok, 2),
    };
    let refused = line.catalog.publish(&publication).await.unwrap_err();
    assert!(refused.is_duplicate(), "{refused}");
    assert_eq!(line.run(job_id).await.state, RunState::Running);
    let good = || line.stored(job_id, number, None);
    let spoiled = [
        stored::Snapshot {
            number: 0,
            ..good()
        },
        stored::Snapshot {
            incomplete: true,
            ..good()
        },
        stored::Snapshot {
            root: vec![1],
            ..good()
        },
    ];
    for bad in spoiled {
        let publication = Publication {
            snapshot: &bad,
            ..publication.clone()
        };
        assert!(line.catalog.publish(&publication).await.is_err());
    }
}

#[tokio::test]
async fn a_broken_snapshot_is_no_base_and_another_copy_saves_it() {
    let line = Line::new().await;
    let (one, two) = (line.snapshot(None).await, line.snapshot(None).await);
    let storage = Uuid::from_u128(9);
    line.catalog
        .break_copy(two.id(), storage, "volume Disk-0001 is damaged")
        .await
        .unwrap();
    let broken = line.catalog.snapshot(two.id()).await.unwrap().unwrap();
    assert_eq!(
        (broken.state, broken.state_reason.as_str()),
        (SnapshotState::Broken, "volume Disk-0001 is damaged")
    );
    let base = line
        .catalog
        .last_good_snapshot(line.series.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(base.id, one.id());
    let full = line
        .catalog
        .last_good_of_level(line.series.id, Level::Full)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(full.id, one.id());
    assert_eq!(
        line.catalog
            .last_good_of_level(line.series.id, Level::Differential)
            .await
            .unwrap(),
        None
    );
    let offsite = Copy {
        pool: "offsite".into(),
        storage: Uuid::from_u128(10),
        state: SnapshotState::Good,
        expires_at: None,
        made_at: at(500),
    };
    line.catalog.record_copy(one.id(), &offsite).await.unwrap();
    assert_eq!(line.catalog.copies(one.id()).await.unwrap().len(), 2);
    line.catalog
        .break_copy(one.id(), storage, "damaged")
        .await
        .unwrap();
    let saved = line.catalog.snapshot(one.id()).await.unwrap().unwrap();
    assert_eq!(
        (saved.state, saved.pool.as_str()),
        (SnapshotState::Good, "offsite")
    );
}

#[tokio::test]
async fn snapshots_are_listed_by_place_and_time() {
    let line = Line::new().await;
    for _ in 0..3 {
        line.snapshot(None).await;
    }
    let list = async |filter: SnapshotFilter| {
        let found = line.catalog.snapshots(&filter, 10).await.unwrap();
        found.into_iter().map(|s| s.number.0).collect::<Vec<_>>()
    };
    let all = SnapshotFilter::default;
    assert_eq!(list(all()).await, [3, 2, 1]);
    assert_eq!(
        list(SnapshotFilter {
            at: Some(at(250)),
            ..all()
        })
        .await,
        [2, 1]
    );
    assert_eq!(
        list(SnapshotFilter {
            before: Some(JobId(2)),
            ..all()
        })
        .await,
        [1]
    );
    assert_eq!(
        list(SnapshotFilter {
            client: Some("web01".into()),
            job: Some("nightly".into()),
            ..all()
        })
        .await,
        [3, 2, 1]
    );
    assert_eq!(
        list(SnapshotFilter {
            client: Some("db01".into()),
            ..all()
        })
        .await,
        [] as [u32; 0]
    );
    assert_eq!(
        list(SnapshotFilter {
            state: Some(SnapshotState::Broken),
            ..all()
        })
        .await,
        [] as [u32; 0]
    );
    assert_eq!(
        list(SnapshotFilter {
            series: Some(SeriesId(99)),
            ..all()
        })
        .await,
        [] as [u32; 0]
    );
}

#[tokio::test]
async fn pruning_keeps_the_last_good_snapshot_and_what_others_show() {
    let line = Line::new().await;
    let mut ids: Vec<SnapshotId> = Vec::new();
    for _ in 0..4 {
        ids.push(line.snapshot(Some(1000)).await.id());
    }
    let dir = DirId::ROOT.0;
    let rows = [
        (dir, "always", 1, 1),
        (dir, "each", 1, 1),
        (dir, "each", 2, 2),
        (dir, "each", 3, 3),
        (dir, "each", 4, 4),
        (dir, "gone", 1, 1),
        (dir, "gone", 3, -1),
        (dir, "brief", 2, 2),
        (dir, "brief", 3, -1),
        (dir, "late", 4, 4),
    ];
    put_rows(&line.catalog, line.series.id, &rows).await;
    let due = line.catalog.prunable(at(2000), 10).await.unwrap();
    assert_eq!(
        due.iter().map(|s| s.number.0).collect::<Vec<_>>(),
        [1, 2, 3],
        "never the last good one"
    );
    assert_eq!(line.catalog.prunable(at(999), 10).await.unwrap(), []);
    let before = show(&line).await;

    // 2 goes: each@2 and brief@2 were only shown by it; brief's removal then hides nothing.
    let gone = line
        .catalog
        .release_snapshot(ids[1], "expired")
        .await
        .unwrap();
    assert_eq!(
        gone,
        Pruned {
            versions: 2,
            removals: 1
        }
    );
    for kept in [1, 3, 4] {
        assert_eq!(show(&line).await[&kept], before[&kept], "snapshot {kept}");
    }
    // 1 goes: each@1 and gone@1 with its removal; what is left shows 3 and 4 as before.
    let gone = line
        .catalog
        .release_snapshot(ids[0], "expired")
        .await
        .unwrap();
    assert_eq!(
        gone,
        Pruned {
            versions: 2,
            removals: 1
        }
    );
    line.catalog
        .release_snapshot(ids[2], "expired")
        .await
        .unwrap();
    assert_eq!(show(&line).await[&4], before[&4]);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM entry")
        .fetch_one(line.catalog.pool())
        .await
        .unwrap();
    assert_eq!(left, 3, "always, each@4, late: one version a name");

    let last = line
        .catalog
        .release_snapshot(ids[3], "expired")
        .await
        .unwrap_err();
    assert!(matches!(last, CatalogError::Conflict { .. }), "{last}");
    assert_eq!(
        line.catalog
            .release_snapshot(ids[0], "again")
            .await
            .unwrap(),
        Pruned::default()
    );
    let released = line.catalog.snapshot(ids[0]).await.unwrap().unwrap();
    assert_eq!(
        (released.state, released.storage),
        (SnapshotState::Released, None)
    );
    assert!(!line.catalog.keep_snapshot(ids[0], None).await.unwrap());
    assert!(line.catalog.keep_snapshot(ids[3], None).await.unwrap());
}

/// Names and sizes of the root as each snapshot shows them.
async fn show(line: &Line) -> std::collections::BTreeMap<u32, Vec<(String, u64)>> {
    let mut out = std::collections::BTreeMap::new();
    for number in 1..=4 {
        let place = (line.series.id, Number(number));
        let page = line
            .catalog
            .list_directory(place, DirId::ROOT, None, 100)
            .await
            .unwrap();
        let named =
            |e: super::super::browse::FileEntry| (String::from_utf8(e.name).unwrap(), e.size_bytes);
        out.insert(number, page.entries.into_iter().map(named).collect());
    }
    out
}

#[tokio::test]
async fn a_rebuild_adopts_what_volumes_tell() {
    let line = Line::new().await;
    let (job_id, number) = (JobId(700), Number(5));
    let told = stored::Snapshot {
        series: Uuid::from_u128(77).as_bytes().to_vec(),
        job: "weekly".into(),
        ..line.stored(job_id, number, None)
    };
    for _ in 0..2 {
        let series = line.catalog.adopt_series(&told).await.unwrap();
        assert_eq!(series.uuid, Uuid::from_u128(77));
        assert_eq!(
            line.catalog.adopt_run(&told, &series).await.unwrap(),
            job_id
        );
        let publication = Publication {
            snapshot: &told,
            series: series.id,
            storage: Uuid::from_u128(9),
            outcome: ended(RunState::Ok, 9),
        };
        line.catalog.publish(&publication).await.unwrap();
    }
    let run = line.run(job_id).await;
    assert_eq!(
        (run.state, run.snapshot, run.counts.files),
        (RunState::Ok, Some(told.id()), 3)
    );
    let series = line
        .catalog
        .list_series(Some("weekly"), None)
        .await
        .unwrap();
    assert_eq!(
        (series[0].head, series[0].next_number),
        (Number(5), Number(6))
    );
    let next = line
        .catalog
        .create_run(&backup("weekly", "web01"))
        .await
        .unwrap();
    assert_eq!(next, JobId(701), "JobIds are counted on");
    let foreign = stored::Snapshot {
        series: Uuid::from_u128(78).as_bytes().to_vec(),
        ..told
    };
    let refused = line.catalog.adopt_series(&foreign).await.unwrap_err();
    assert!(
        matches!(refused, CatalogError::Conflict { .. }),
        "{refused}"
    );
}
