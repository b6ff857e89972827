//! Damage and crashes, swept: every place a volume can be cut, bits flipped all over, blocks swapped and repeated.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::ids::{ChunkId, PageId};
use common::object::link::Link;
use common::object::page::links;
use common::object::snapshot::Snapshot;

use super::testing::{append, file, noise, open, page, writer};
use super::{ChunkIndex as _, Store};
use crate::format::block::Kind;
use crate::volume::audit::audit;

const FILES: u64 = 12;

/// Three runs, each with a few segments, a checkpoint and a snapshot.
fn build(folder: &Path) -> Vec<Snapshot> {
    let store = open(folder);
    let mut snapshots = Vec::new();
    for run in 0..3u64 {
        let mut w = writer(&store);
        let mut entries = Vec::new();
        for n in 0..FILES {
            let content = noise(run * 100 + n, 700 + n as usize * 300);
            append(&mut w, Kind::Segment, &[&content]).unwrap();
            entries.push(file(&format!("f{n:02}"), &content));
            if n == FILES / 2 {
                w.commit().unwrap();
            }
        }
        let (root, bytes) = page(&entries);
        append(&mut w, Kind::Pages, &[&bytes]).unwrap();
        let snapshot = Snapshot {
            root: root.0.to_vec(),
            job_id: run + 1,
            number: run + 1,
            ..Snapshot::default()
        };
        w.snapshot(&snapshot.to_bytes()).unwrap();
        w.close();
        snapshots.push(snapshot);
    }
    snapshots
}

/// Every snapshot the store tells of can be read to the last chunk.
fn assert_snapshots_are_whole(store: &Arc<Store>, case: &str) -> usize {
    let part = store.snapshots().part(0);
    for bytes in &part.snapshots {
        let root = Snapshot::from_bytes(bytes).unwrap().root_page().unwrap();
        assert_tree_is_whole(store, root, case);
    }
    part.snapshots.len()
}

fn assert_tree_is_whole(store: &Arc<Store>, root: PageId, case: &str) {
    let bytes = store.page(&root).unwrap_or_else(|e| panic!("{case}: {e}"));
    for link in links(&bytes).unwrap() {
        let Link::Chunk(chunk) = link else {
            panic!("only files here")
        };
        let content = store
            .content(&chunk.id)
            .unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(ChunkId::of(&content), chunk.id, "{case}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("volumes")).unwrap();
    for entry in fs::read_dir(from.join("volumes")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "hfv") {
            fs::copy(&path, to.join("volumes").join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn wherever_a_power_cut_ends_the_pages_volume_every_snapshot_told_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let len = fs::metadata(dir.path().join("volumes/pages-000002.hfv"))
        .unwrap()
        .len();
    let mut told = Vec::new();
    for cut in (4096..=len).step_by(2048) {
        let crash = tempfile::tempdir().unwrap();
        copy(dir.path(), crash.path());
        let volume = fs::OpenOptions::new()
            .write(true)
            .open(crash.path().join("volumes/pages-000002.hfv"))
            .unwrap();
        volume.set_len(cut).unwrap();
        let store = open(crash.path());
        told.push(assert_snapshots_are_whole(
            &store,
            &format!("pages cut at {cut}"),
        ));
        // And it takes the next run.
        let mut w = writer(&store);
        append(&mut w, Kind::Segment, &[b"next"]).unwrap();
        w.close();
        drop(store);
        assert!(
            open(crash.path())
                .locate(&ChunkId::of(b"next"))
                .unwrap()
                .is_some()
        );
    }
    assert_eq!((told.first(), told.last()), (Some(&0), Some(&3)));
    assert!(told.is_sorted(), "{told:?}");
}

#[test]
fn wherever_a_power_cut_ends_the_data_volume_what_was_synced_is_there() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let len = fs::metadata(dir.path().join("volumes/data-000001.hfv"))
        .unwrap()
        .len();
    for cut in (4096..=len).step_by(6144) {
        let crash = tempfile::tempdir().unwrap();
        copy(dir.path(), crash.path());
        let path = crash.path().join("volumes/data-000001.hfv");
        fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(cut)
            .unwrap();
        let store = open(crash.path());
        // Whole blocks in front of the cut are there, whether a commit named them or not.
        let present = (0..FILES).filter(|n| {
            store
                .locate(&ChunkId::of(&noise(*n, 700 + *n as usize * 300)))
                .unwrap()
                .is_some()
        });
        let present = present.count() as u64;
        let whole_files = (cut - 4096) / 8192;
        assert!(
            present >= whole_files.min(FILES) / 2,
            "cut at {cut}: {present} of the first run's files"
        );
        for n in 0..present {
            let content = noise(n, 700 + n as usize * 300);
            assert_eq!(
                store.content(&ChunkId::of(&content)).unwrap(),
                content,
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn every_flipped_bit_is_found_and_nothing_false_is_ever_read() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let store = open(dir.path());
    for volume in store.volumes().list() {
        let name = volume.label.name();
        let file = store.volumes().file(volume.label.number).unwrap();
        assert_eq!(
            audit(file.as_ref(), volume.label.uuid).unwrap().damage,
            [],
            "{name}"
        );
        let path = dir.path().join("volumes").join(format!("{name}.hfv"));
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(331) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, &bad).unwrap();
            let found = audit(
                store.volumes().device().open(&name).unwrap().as_ref(),
                volume.label.uuid,
            )
            .unwrap();
            assert!(!found.damage.is_empty(), "{name}: bit flipped at {at}");
        }
        fs::write(&path, &good).unwrap();
    }
}

#[test]
fn swapped_repeated_and_foreign_blocks_are_found() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let other = tempfile::tempdir().unwrap();
    build(other.path());
    let path = dir.path().join("volumes/data-000001.hfv");
    let good = fs::read(&path).unwrap();
    let foreign = fs::read(other.path().join("volumes/data-000001.hfv")).unwrap();
    let store = open(dir.path());
    let label = store.volumes().list()[0].label.clone();
    let block = |n: usize| n * 4096..(n + 1) * 4096;
    for n in 1..good.len() / 4096 - 1 {
        for (case, donor, from) in [
            ("repeated", &good, n - 1),
            ("swapped", &good, n + 1),
            ("foreign", &foreign, n),
        ] {
            let mut bad = good.clone();
            bad[block(n)].copy_from_slice(&donor[block(from)]);
            if bad == good {
                continue;
            }
            fs::write(&path, &bad).unwrap();
            let found = audit(
                store
                    .volumes()
                    .device()
                    .open(&label.name())
                    .unwrap()
                    .as_ref(),
                label.uuid,
            )
            .unwrap();
            assert!(!found.damage.is_empty(), "{case} block at {n}");
        }
    }
}

#[test]
fn a_start_on_any_damaged_volume_is_no_panic_and_loses_no_more_than_the_damage() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    for name in ["data-000001", "pages-000002"] {
        let good = fs::read(dir.path().join(format!("volumes/{name}.hfv"))).unwrap();
        for at in (4096..good.len()).step_by(5347) {
            let crash = tempfile::tempdir().unwrap();
            copy(dir.path(), crash.path());
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            fs::write(crash.path().join(format!("volumes/{name}.hfv")), &bad).unwrap();
            let store = open(crash.path());
            let readable = (0..3 * FILES)
                .map(|n| {
                    noise(
                        n / FILES * 100 + n % FILES,
                        700 + (n % FILES) as usize * 300,
                    )
                })
                .filter(|content| {
                    store
                        .content(&ChunkId::of(content))
                        .is_ok_and(|got| got == content[..])
                })
                .count() as u64;
            assert!(readable >= 3 * FILES - 1, "{name} at {at}: {readable}");
            assert!(store.index().len() >= 3 * FILES - 1);
        }
    }
}
