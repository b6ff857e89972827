//! The list across restarts, torn logs, many checkpoints.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn snapshot(job_id: u64, finished_ms: i64, incomplete: bool) -> Vec<u8> {
    let fileset = "x".repeat(5000);
    Snapshot {
        root: vec![job_id as u8; 32],
        job_id,
        finished_ms,
        incomplete,
        fileset,
        ..Snapshot::default()
    }
    .to_bytes()
}

#[test]
fn the_list_outlives_a_restart_and_a_torn_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (list, is_whole) = Snapshots::open(&path).unwrap();
    assert!(is_whole);
    for job in 1..=3 {
        list.add_snapshot(&snapshot(job, 5, false)).unwrap();
        list.add_snapshot(&snapshot(job, 5, false)).unwrap();
    }
    let note = Note {
        snapshot: SnapshotId::of(&snapshot(2, 5, false)).0.to_vec(),
        sequence: 9,
        what: "release".into(),
        ..Note::default()
    };
    list.add_note(&note.to_bytes()).unwrap();
    let told = list.part(0);
    assert_eq!(
        told.snapshots,
        [snapshot(1, 5, false), snapshot(3, 5, false)]
    );
    drop(list);
    let (list, is_whole) = Snapshots::open(&path).unwrap();
    assert!(is_whole && list.part(0) == told && list.next_note() == 10);
    assert_eq!(list.of_root(&PageId([3; 32])).unwrap().snapshot.job_id, 3);
    drop(list);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let (list, is_whole) = Snapshots::open(&path).unwrap();
    assert!(
        !is_whole && list.part(0).snapshots.len() == 3,
        "the note was torn"
    );
}

#[test]
fn years_of_checkpoints_do_not_grow_the_log_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let (list, _) = Snapshots::open(&path).unwrap();
    list.add_snapshot(&snapshot(1, 5, false)).unwrap();
    for n in 0..3000 {
        list.add_snapshot(&snapshot(2, n, true)).unwrap();
    }
    assert!(std::fs::metadata(&path).unwrap().len() < 9 << 20);
    assert_eq!(
        list.checkpoint(JobId(2)).unwrap().snapshot.finished_ms,
        2999
    );
    drop(list);
    let (list, is_whole) = Snapshots::open(&path).unwrap();
    assert!(is_whole);
    assert_eq!(
        list.checkpoint(JobId(2)).unwrap().snapshot.finished_ms,
        2999
    );
    list.add_snapshot(&snapshot(2, 3000, false)).unwrap();
    assert!(list.checkpoint(JobId(2)).is_none());
    list.add_snapshot(&snapshot(2, 3001, true)).unwrap();
    assert!(list.checkpoint(JobId(2)).is_none(), "the run has committed");
    assert_eq!(list.part(0).snapshots.len(), 2);
}

#[test]
fn a_long_list_comes_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let (list, _) = Snapshots::open(&dir.path().join("log")).unwrap();
    for job in 1..=500 {
        list.add_snapshot(&snapshot(job, 5, false)).unwrap();
    }
    let (mut from, mut told, mut parts) = (0, 0, 0);
    loop {
        let part = list.part(from);
        told += part.snapshots.len();
        parts += 1;
        from = part.next;
        if from == 0 {
            break;
        }
    }
    assert_eq!((told, parts), (500, 3));
}
