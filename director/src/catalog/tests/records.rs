//! Installation, schedules, volumes, consumers, audit, summary.

use common::ids::Term;
use common::protocol::control::{StorageReport, VolumeReport};

use super::super::{AuditBreak, Firing, NewAuditEntry, Pool};
use super::*;

#[tokio::test]
async fn terms_only_grow() {
    let catalog = catalog().await;
    let before = catalog.installation().await.unwrap();
    assert_eq!(before.term, Term(0));
    assert_eq!(catalog.next_term().await.unwrap(), Term(1));
    assert_eq!(catalog.next_term().await.unwrap(), Term(2));
    let after = catalog.installation().await.unwrap();
    assert_eq!((after.id, after.term), (before.id, Term(2)));
}

#[tokio::test]
async fn a_scheduled_time_fires_once() {
    let catalog = catalog().await;
    catalog
        .set_next_due("nightly/web01/0", Some(at(10)))
        .await
        .unwrap();
    let firing = Firing {
        key: "nightly/web01/0".into(),
        expected: None,
        fired: at(10),
        next_due: Some(at(20)),
    };
    let run = [backup("nightly", "web01")];
    let (a, b) = tokio::join!(
        catalog.fire_schedule(&firing, &run),
        catalog.fire_schedule(&firing, &run)
    );
    let fired: Vec<_> = [a.unwrap(), b.unwrap()].into_iter().flatten().collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(catalog.queue(10).await.unwrap().len(), 1);
    let state = catalog
        .schedule_state("nightly/web01/0")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (state.last_fired, state.next_due),
        (Some(at(10)), Some(at(20)))
    );
    let skip = Firing {
        expected: Some(at(10)),
        fired: at(20),
        ..firing
    };
    assert_eq!(
        catalog.fire_schedule(&skip, &[]).await.unwrap(),
        Some(vec![])
    );
    assert_eq!(catalog.schedule_states().await.unwrap().len(), 1);
    assert_eq!(
        catalog.retain_schedules(&["other".into()]).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn a_storage_report_replaces_the_one_before() {
    let catalog = catalog().await;
    let volume = |id: u128, name: &str, bytes| VolumeReport {
        name: name.into(),
        uuid: Uuid::from_u128(id).as_bytes().to_vec(),
        holds: "data".into(),
        bytes,
        status: "append".into(),
        pool: "main".into(),
        created_ms: at(1).timestamp_millis(),
    };
    let report = |volumes| StorageReport {
        volumes,
        free_bytes: 5,
        total_bytes: 9,
        chunks: 2,
    };
    let (one, two) = (Uuid::from_u128(100), Uuid::from_u128(200));
    catalog
        .record_storage(
            one,
            &report(vec![volume(1, "D-1", 10), volume(2, "D-2", 20)]),
            at(5),
        )
        .await
        .unwrap();
    catalog
        .record_storage(two, &report(vec![volume(3, "D-1", 7)]), at(5))
        .await
        .unwrap();
    catalog
        .record_storage(one, &report(vec![volume(2, "D-2", 25)]), at(6))
        .await
        .unwrap();
    let all = catalog.volumes(None, Some("main")).await.unwrap();
    assert_eq!(
        all.iter()
            .map(|v| (v.name.as_str(), v.size_bytes))
            .collect::<Vec<_>>(),
        [("D-1", 7), ("D-2", 25)]
    );
    assert_eq!(
        catalog.volumes(Some(one), None).await.unwrap()[0].created_at,
        at(1)
    );
    let space = catalog.storage_space().await.unwrap();
    assert_eq!(
        (space.len(), space[0].free_bytes, space[0].reported_at),
        (2, 5, at(6))
    );
    let mut bad = volume(4, "D-4", 1);
    bad.uuid.pop();
    assert!(
        catalog
            .record_storage(one, &report(vec![bad]), at(7))
            .await
            .is_err()
    );
    catalog
        .record_storage(two, &report(vec![]), at(8))
        .await
        .unwrap();
    assert_eq!(catalog.volumes(Some(two), None).await.unwrap(), []);
}

#[tokio::test]
async fn the_first_consumer_is_the_primary_pool() {
    let line = Line::new().await;
    line.catalog
        .set_consumers(line.series.id, &["main".into(), "offsite".into()])
        .await
        .unwrap();
    line.catalog
        .set_consumers(line.series.id, &["fast".into(), "main".into()])
        .await
        .unwrap();
    let pools = line.catalog.consumers(line.series.id).await.unwrap();
    assert_eq!(
        pools
            .iter()
            .map(|c| (c.place, c.pool.as_str()))
            .collect::<Vec<_>>(),
        [(0, "fast"), (1, "main")]
    );
}

#[tokio::test]
async fn a_tampered_audit_trail_is_noticed() {
    let catalog = catalog().await;
    assert_eq!(catalog.verify_audit().await.unwrap(), Ok(0));
    for n in 0..3 {
        let entry = NewAuditEntry {
            at: at(n) + chrono::Duration::nanoseconds(123_456),
            actor: "ann".into(),
            action: "run.cancel".into(),
            object: format!("run {n}"),
            detail: String::new(),
        };
        assert_eq!(
            catalog.append_audit(&entry).await.unwrap(),
            u64::try_from(n).unwrap() + 1
        );
    }
    assert_eq!(catalog.verify_audit().await.unwrap(), Ok(3));
    let newest = catalog.audit(None, 2).await.unwrap();
    assert_eq!(newest.iter().map(|e| e.seq).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(
        catalog.audit(Some(2), 2).await.unwrap()[0].entry.object,
        "run 0"
    );
    let touch = "UPDATE audit SET actor = 'bob' WHERE seq = 2";
    assert!(
        sqlx::query(touch).execute(catalog.pool()).await.is_err(),
        "the database refuses"
    );
    for sql in ["ALTER TABLE audit DISABLE TRIGGER audit_append_only", touch] {
        sqlx::query(sql).execute(catalog.pool()).await.unwrap();
    }
    assert_eq!(
        catalog.verify_audit().await.unwrap(),
        Err(AuditBreak { seq: 2 })
    );
    sqlx::query("DELETE FROM audit WHERE seq = 2")
        .execute(catalog.pool())
        .await
        .unwrap();
    assert_eq!(
        catalog.verify_audit().await.unwrap(),
        Err(AuditBreak { seq: 2 })
    );
}

#[tokio::test]
async fn the_summary_counts_what_there_is() {
    let line = Line::new().await;
    line.snapshot(None).await;
    line.snapshot(None).await;
    line.start().await;
    let summary = line.catalog.summary().await.unwrap();
    let running = summary
        .runs
        .iter()
        .find(|c| c.state == RunState::Running)
        .map(|c| c.runs);
    assert_eq!(
        (running, summary.series, summary.snapshots),
        (Some(1), 1, 2)
    );
    assert_eq!(
        (summary.protected_bytes, summary.files, summary.volumes),
        (1000, 3, 0)
    );
    assert!(summary.catalog_bytes > 0);
}

#[tokio::test]
async fn pools_are_taken_over_from_the_configuration() {
    let catalog = catalog().await;
    let pool = |keep: &str| Pool {
        name: "main".into(),
        storage: "vault1".into(),
        keep: keep.into(),
    };
    catalog.record_pools(&[pool("30d")], at(0)).await.unwrap();
    catalog.record_pools(&[pool("60d")], at(1)).await.unwrap();
    catalog.record_pools(&[], at(2)).await.unwrap();
    assert_eq!(catalog.pools().await.unwrap(), [pool("60d")]);
}
