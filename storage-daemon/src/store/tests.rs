//! The store as its users see it: what counts as present when, after crashes, damage, full devices and failed syncs.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::ids::ChunkId;
use common::object::snapshot::{Counts, Snapshot};

use super::lookup::LookupError;
use super::testing::{append, file, noise, open, open_on, page, writer};
use super::{ChunkIndex as _, Store, StoreError};
use crate::device::disk::DiskDevice;
use crate::device::faulty::{Fault, Faulty};
use crate::format::block::Kind;
use crate::volume::Status;

fn has(store: &Store, content: &[u8]) -> bool {
    store.locate(&ChunkId::of(content)).unwrap().is_some()
}

fn volume_files(folder: &Path, holds: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder.join("volumes"))
        .unwrap()
        .map(|e| e.unwrap().path());
    let mine = |p: &PathBuf| p.to_string_lossy().contains(&format!("/{holds}-"));
    let mut all: Vec<_> = all
        .filter(mine)
        .filter(|p| p.extension().is_some_and(|e| e == "hfv"))
        .collect();
    all.sort();
    all
}

fn snapshot_of(root: &common::ids::PageId) -> Snapshot {
    Snapshot {
        root: root.0.to_vec(),
        job_id: 7,
        number: 1,
        counts: Some(Counts::default()),
        ..Default::default()
    }
}

/// Stores a file "a" with `content` and its snapshot.
fn store_file(store: &Arc<Store>, content: &[u8]) -> Snapshot {
    let mut w = writer(store);
    append(&mut w, Kind::Segment, &[content]).unwrap();
    let (root, bytes) = page(&[file("a", content)]);
    append(&mut w, Kind::Pages, &[&bytes]).unwrap();
    let snapshot = snapshot_of(&root);
    w.snapshot(&snapshot.to_bytes()).unwrap();
    w.close();
    snapshot
}

#[test]
fn content_counts_for_others_only_after_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut w = writer(&store);
    append(&mut w, Kind::Segment, &[b"one", b"two"]).unwrap();
    assert!(w.has(&ChunkId::of(b"two")).unwrap());
    assert!(!has(&store, b"two"));
    w.commit().unwrap();
    assert!(has(&store, b"two"));
    assert_eq!(store.content(&ChunkId::of(b"two")).unwrap(), &b"two"[..]);
    w.close();
}

#[test]
fn a_page_needs_all_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut w = writer(&store);
    let (_, bytes) = page(&[file("a", b"content")]);
    let error = append(&mut w, Kind::Pages, &[&bytes]).unwrap_err();
    assert!(
        matches!(error, StoreError::Missing { target, .. } if target == ChunkId::of(b"content"))
    );
    append(&mut w, Kind::Segment, &[b"content"]).unwrap();
    append(&mut w, Kind::Pages, &[&bytes]).unwrap();
    w.close();
    assert!(has(&store, &bytes));
}

#[test]
fn everything_is_there_after_a_restart_with_and_without_the_derived_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let snapshot = store_file(&store, b"kept");
    store.flush().unwrap();
    store_file(&store, b"later");
    for wipe in [false, true] {
        if wipe {
            fs::remove_dir_all(dir.path().join("state")).unwrap();
        }
    }
    drop(store);
    let store = open(dir.path());
    assert!(has(&store, b"kept") && has(&store, b"later"));
    assert_eq!(
        store.snapshots().get(&snapshot.id()).unwrap().snapshot,
        snapshot
    );
    assert_eq!(store.snapshots().part(0).snapshots.len(), 2);
    let session = store.new_session().unwrap();
    assert!(session.0 > 2, "session numbers are never used twice");
}

#[test]
fn whole_blocks_without_a_commit_are_taken_in_and_a_torn_tail_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store_file(&store, b"committed");
    let mut w = writer(&store);
    append(&mut w, Kind::Segment, &[&noise(1, 9000)]).unwrap();
    append(&mut w, Kind::Segment, &[&noise(2, 9000)]).unwrap();
    // The daemon dies: nobody closes the session.
    std::mem::forget(w);
    let copy = tempfile::tempdir().unwrap();
    let volumes = copy.path().join("volumes");
    fs::create_dir_all(&volumes).unwrap();
    for path in [
        volume_files(dir.path(), "data"),
        volume_files(dir.path(), "pages"),
    ]
    .concat()
    {
        fs::copy(&path, volumes.join(path.file_name().unwrap())).unwrap();
    }
    let data = &volume_files(copy.path(), "data")[0];
    let len = fs::metadata(data).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(data)
        .unwrap()
        .set_len(len - 5000)
        .unwrap();

    let store = open(copy.path());
    assert!(has(&store, b"committed"));
    assert!(has(&store, &noise(1, 9000)), "whole: taken in");
    assert!(!has(&store, &noise(2, 9000)), "torn");
    let torn: Vec<_> = fs::read_dir(&volumes)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert!(
        torn.iter()
            .any(|p| p.extension().is_some_and(|e| e == "torn"))
    );
    // And the volume takes more.
    store_file(&store, b"after");
    assert_eq!(volume_files(copy.path(), "data").len(), 1);
    drop(store);
    let store = open(copy.path());
    assert!(has(&store, b"after") && has(&store, &noise(1, 9000)));
}

#[test]
fn full_volumes_are_sealed_and_read_back_from_their_seals() {
    let dir = tempfile::tempdir().unwrap();
    let device = || Arc::new(DiskDevice::open(&dir.path().join("volumes")).unwrap());
    let store = open_on(dir.path(), device(), 1 << 20);
    let mut w = writer(&store);
    for n in 0..40 {
        append(&mut w, Kind::Segment, &[&noise(n, 100_000)]).unwrap();
    }
    w.close();
    let full = store
        .volumes()
        .list()
        .iter()
        .filter(|v| v.status == Status::Full)
        .count();
    assert!(full >= 3, "{full}");
    for path in volume_files(dir.path(), "data") {
        assert!(
            fs::metadata(path).unwrap().len() <= 1 << 20,
            "limits hold to the block"
        );
    }
    drop(store);
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let store = open_on(dir.path(), device(), 1 << 20);
    for n in 0..40 {
        assert_eq!(
            store.content(&ChunkId::of(&noise(n, 100_000))).unwrap(),
            noise(n, 100_000)
        );
    }
}

#[test]
fn a_damaged_block_is_reported_leaves_the_index_and_is_stored_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut w = writer(&store);
    append(&mut w, Kind::Segment, &[&noise(1, 5000), b"neighbour"]).unwrap();
    append(&mut w, Kind::Segment, &[b"healthy"]).unwrap();
    w.close();
    let path = &volume_files(dir.path(), "data")[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[4096 + 2000] ^= 4;
    fs::write(path, bytes).unwrap();
    let error = store.content(&ChunkId::of(&noise(1, 5000))).unwrap_err();
    assert!(
        matches!(error, LookupError::Damaged { offset: 4096, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("data-000001"), "{error}");
    assert!(!has(&store, &noise(1, 5000)));
    assert_eq!(
        store.content(&ChunkId::of(b"neighbour")).unwrap(),
        &b"neighbour"[..],
        "what shares the block and is right is delivered"
    );
    assert_eq!(
        store.content(&ChunkId::of(b"healthy")).unwrap(),
        &b"healthy"[..]
    );
    store_file(&store, &noise(1, 5000));
    assert_eq!(
        store.content(&ChunkId::of(&noise(1, 5000))).unwrap(),
        noise(1, 5000)
    );
}

#[test]
fn damaged_ids_stay_absent_after_a_crash_until_they_are_stored_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bad = noise(1, 5000);
    store_file(&store, &bad);
    store.flush().unwrap();
    let path = &volume_files(dir.path(), "data")[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[4096 + 2000] ^= 4;
    fs::write(path, bytes).unwrap();
    assert!(!store.has_losses());
    store.content(&ChunkId::of(&bad)).unwrap_err();
    // No flush: what the index removed is forgotten with the process.
    drop(store);
    let store = open(dir.path());
    assert!(!has(&store, &bad) && store.has_losses());
    store_file(&store, &bad);
    assert!(has(&store, &bad) && !store.has_losses());
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.content(&ChunkId::of(&bad)).unwrap(), bad);
    assert!(!store.has_losses());
}

#[test]
fn a_volume_that_is_gone_makes_holes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let content = noise(1, 5000);
    store_file(&store, &content);
    let (root, bytes) = page(&[file("f", &content)]);
    let mut w = writer(&store);
    append(&mut w, Kind::Pages, &[&bytes]).unwrap();
    w.close();
    store.flush().unwrap();
    assert!(!store.has_losses() && store.check_tree(root).is_ok());
    drop(store);
    fs::remove_file(&volume_files(dir.path(), "data")[0]).unwrap();
    let store = open(dir.path());
    assert!(store.has_losses());
    let hole = store.check_tree(root).unwrap_err();
    assert!(hole.to_string().contains("gone"), "{hole}");
}

#[test]
fn a_bad_commit_block_with_a_commit_behind_it_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut w = writer(&store);
    append(&mut w, Kind::Segment, &[b"first"]).unwrap();
    w.commit().unwrap();
    append(&mut w, Kind::Segment, &[b"second"]).unwrap();
    w.close();
    drop(store);
    // label, segment, commit, segment, commit
    let path = &volume_files(dir.path(), "data")[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[8192 + 90] ^= 1;
    fs::write(path, &bytes).unwrap();
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let store = open(dir.path());
    assert!(has(&store, b"first") && has(&store, b"second"));
    assert_eq!(
        fs::read(path).unwrap()[..bytes.len()],
        bytes,
        "committed bytes are never cut"
    );
}

#[test]
fn a_full_device_ends_the_session_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(DiskDevice::open(&dir.path().join("volumes")).unwrap());
    let (device, plan) = Faulty::new(disk);
    let store = open_on(dir.path(), device, 2 << 30);
    store_file(&store, b"before");
    let mut w = writer(&store);
    append(&mut w, Kind::Segment, &[b"lost"]).unwrap();
    plan.arm(Fault::NoSpace, 0);
    let error = append(&mut w, Kind::Segment, &[b"no room"]).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(matches!(w.commit(), Err(StoreError::Ended)));
    w.close();
    plan.disarm();
    assert_eq!(
        store.content(&ChunkId::of(b"before")).unwrap(),
        &b"before"[..]
    );
    assert!(!has(&store, b"lost"));
    assert!(
        store
            .volumes()
            .list()
            .iter()
            .all(|v| v.status == Status::Append)
    );
    store_file(&store, b"after");
    assert_eq!(
        volume_files(dir.path(), "data").len(),
        1,
        "the volume was given back whole"
    );
    assert!(has(&store, b"after"));
}

#[test]
fn after_a_failed_sync_the_volume_is_never_written_again() {
    for fault in [Fault::SyncFails, Fault::ShortWrite] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(DiskDevice::open(&dir.path().join("volumes")).unwrap());
        let (device, plan) = Faulty::new(disk);
        let store = open_on(dir.path(), device, 2 << 30);
        let mut w = writer(&store);
        append(&mut w, Kind::Segment, &[b"unsure"]).unwrap();
        plan.arm(fault, 0);
        assert!(w.commit().is_err());
        plan.disarm();
        assert!(
            matches!(w.commit(), Err(StoreError::Ended)),
            "a sync is never tried twice"
        );
        w.close();
        assert!(!has(&store, b"unsure"), "never told as present");
        assert_eq!(store.volumes().list()[0].status, Status::Error);
        store_file(&store, b"elsewhere");
        assert!(has(&store, b"elsewhere"));
        assert_eq!(volume_files(dir.path(), "data").len(), 2);
    }
}

#[test]
fn many_sessions_write_at_once_each_to_its_own_volumes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    std::thread::scope(|scope| {
        for n in 0..4u64 {
            let store = &store;
            scope.spawn(move || {
                let mut w = writer(store);
                for i in 0..20 {
                    append(&mut w, Kind::Segment, &[&noise(n * 100 + i, 3000)]).unwrap();
                }
                w.close();
            });
        }
    });
    assert_eq!(store.index().len(), 80);
    assert!(volume_files(dir.path(), "data").len() <= 4);
    for n in 0..4 {
        assert!(has(&store, &noise(n * 100 + 19, 3000)));
    }
}

#[test]
fn a_failed_page_volume_leaves_the_data_volume_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(DiskDevice::open(&dir.path().join("volumes")).unwrap());
    let (device, plan) = Faulty::new(disk);
    let store = open_on(dir.path(), device, 2 << 30);
    let mut w = writer(&store);
    append(&mut w, Kind::Segment, &[b"data"]).unwrap();
    let (_, bytes) = page(&[file("a", b"data")]);
    append(&mut w, Kind::Pages, &[&bytes]).unwrap();
    // Syncs: data, pages, commit of data, commit of pages.
    plan.arm(Fault::SyncFails, 3);
    assert!(w.commit().is_err());
    plan.disarm();
    w.close();
    assert!(has(&store, b"data"), "its commit was durable before");
    assert!(!has(&store, &bytes));
    let status: Vec<Status> = store.volumes().list().iter().map(|v| v.status).collect();
    assert_eq!(status, [Status::Append, Status::Error]);
}

#[test]
fn a_load_sent_again_takes_no_space() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut w = writer(&store);
    append(&mut w, Kind::Segment, &[&noise(1, 9000)]).unwrap();
    let before = w.stored_bytes();
    append(&mut w, Kind::Segment, &[&noise(1, 9000)]).unwrap();
    assert_eq!(w.stored_bytes(), before);
    w.close();
}

#[test]
fn a_volume_whose_session_vanished_is_recovered_when_it_is_needed_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store_file(&store, b"before");
    let mut w = writer(&store);
    append(&mut w, Kind::Segment, &[b"not committed"]).unwrap();
    let (_, page_of_it) = page(&[file("b", b"not committed")]);
    append(&mut w, Kind::Pages, &[&page_of_it]).unwrap();
    // Its thread dies without closing it.
    drop(w);
    assert!(!has(&store, b"not committed"));
    store_file(&store, b"after");
    assert!(has(&store, b"not committed"), "it was whole: taken in");
    assert!(has(&store, &page_of_it), "and all it names is here");
    assert_eq!(volume_files(dir.path(), "data").len(), 1);
    let volumes = store.volumes().list();
    assert!(volumes.iter().all(|v| v.status == Status::Append));
    drop(store);
    let store = open(dir.path());
    for content in [&b"before"[..], b"not committed", b"after"] {
        assert_eq!(store.content(&ChunkId::of(content)).unwrap(), content);
    }
}

/// One more than a commit lists with their ids.
fn many(seed: u64) -> Vec<Vec<u8>> {
    (0..65).map(|n| noise(seed * 100 + n, 300)).collect()
}

fn append_many(w: &mut super::ingest::SessionWriter, seed: u64) {
    let pieces = many(seed);
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    append(w, Kind::Segment, &pieces).unwrap();
}

#[test]
fn blocks_of_many_slots_are_rebuilt_from_their_slot_tables() {
    let dir = tempfile::tempdir().unwrap();
    let device = || Arc::new(DiskDevice::open(&dir.path().join("volumes")).unwrap());
    let store = open_on(dir.path(), device(), 256 << 10);
    let mut w = writer(&store);
    for seed in 0..30 {
        append_many(&mut w, seed);
        append(&mut w, Kind::Segment, &[&noise(seed, 3000)]).unwrap();
    }
    w.close();
    let is_sealed = |s: &Arc<Store>| s.volumes().list().iter().any(|v| v.status == Status::Full);
    assert!(is_sealed(&store));
    drop(store);
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let store = open_on(dir.path(), device(), 256 << 10);
    assert_eq!(store.index().len(), 30 * 66);
    for content in (0..30).flat_map(many) {
        assert_eq!(store.content(&ChunkId::of(&content)).unwrap(), content);
    }
}

#[test]
fn a_damaged_slot_table_costs_its_block_and_nothing_else() {
    // Sealed and open volumes are read in different ways.
    for seal in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let device = || Arc::new(DiskDevice::open(&dir.path().join("volumes")).unwrap());
        let store = open_on(dir.path(), device(), 128 << 10);
        let mut w = writer(&store);
        for seed in 0..if seal { 9 } else { 3 } {
            append_many(&mut w, seed);
        }
        w.close();
        drop(store);
        let path = &volume_files(dir.path(), "data")[0];
        let mut bytes = fs::read(path).unwrap();
        bytes[4096 + 700] ^= 1;
        fs::write(path, &bytes).unwrap();
        fs::remove_dir_all(dir.path().join("state")).unwrap();
        let store = open_on(dir.path(), device(), 128 << 10);
        assert!(many(0).iter().all(|c| !has(&store, c)), "damaged = absent");
        assert!(many(1).iter().chain(&many(2)).all(|c| has(&store, c)));
        assert_eq!(fs::read(path).unwrap()[..bytes.len()], bytes);
    }
}
