//! The state of a series: what comes back, what damage does, what compaction keeps.
#![allow(clippy::unwrap_used)]
use std::os::unix::fs::FileExt;

use common::object::attribute::Stat;
use common::object::entry::{Content, Entry, Kind};
use common::object::page::encode_leaf;

use super::*;

fn leaf(names: &[&str]) -> (PageId, Vec<u8>) {
    let entries: Vec<_> = names
        .iter()
        .map(|n| Entry::new(n.as_bytes().to_vec(), Kind::File, Stat::default()))
        .collect();
    let bytes = encode_leaf(&entries);
    (PageId::of(&bytes), bytes)
}

fn facts(scanned_ms: i64) -> TreeFacts {
    TreeFacts {
        scanned_ms,
        entries: 2,
        bytes: 10,
    }
}

fn folder_page(child: PageId) -> (PageId, Vec<u8>) {
    let mut entry = Entry::new(b"d".to_vec(), Kind::Directory, Stat::default());
    entry.content = Content::Directory(child);
    let bytes = encode_leaf(&[entry]);
    (PageId::of(&bytes), bytes)
}

#[test]
fn pages_and_scan_times_come_back_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (id, bytes) = leaf(&["a", "b"]);
    let mut state = SeriesState::open(dir.path(), &[7; 16]).unwrap();
    state.keep(&id, &bytes).unwrap();
    assert_eq!(
        state.page(&id).unwrap(),
        bytes,
        "before anything is written"
    );
    state.publish(id, facts(1234)).unwrap();
    let state = SeriesState::open(dir.path(), &[7; 16]).unwrap();
    assert_eq!(state.page(&id).unwrap(), bytes);
    assert_eq!(state.facts(&id), Some(facts(1234)));
    assert_eq!(state.facts(&leaf(&["x"]).0), None);
}

#[test]
fn a_damaged_page_counts_as_absent_and_can_be_put_again() {
    let dir = tempfile::tempdir().unwrap();
    let (id, bytes) = leaf(&["a"]);
    let mut state = SeriesState::open(dir.path(), &[1; 16]).unwrap();
    state.keep(&id, &bytes).unwrap();
    state.publish(id, facts(0)).unwrap();
    let path = dir
        .path()
        .join("series")
        .join(hex::encode([1; 16]))
        .join("pages");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"X", 60).unwrap();
    assert!(state.page(&id).is_none());
    state.keep(&id, &bytes).unwrap();
    assert_eq!(state.page(&id).unwrap(), bytes);
}

#[test]
fn every_torn_tail_is_cut_and_the_pages_before_it_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (first, first_bytes) = leaf(&["a"]);
    let (second, second_bytes) = leaf(&["b"]);
    let path = dir.path().join("pages");
    let mut file = PageFile::open(&path).unwrap();
    file.put(&first, &first_bytes).unwrap();
    file.sync().unwrap();
    let whole_first = file.bytes();
    file.put(&second, &second_bytes).unwrap();
    file.sync().unwrap();
    let all = fs::read(&path).unwrap();
    for cut in 0..all.len() {
        fs::write(&path, &all[..cut]).unwrap();
        let mut file = PageFile::open(&path).unwrap();
        assert_eq!(
            file.get(&first).is_some(),
            cut as u64 >= whole_first,
            "cut at {cut}"
        );
        assert!(file.get(&second).is_none());
        file.put(&second, &second_bytes).unwrap();
        file.sync().unwrap();
        assert!(
            PageFile::open(&path).unwrap().get(&second).is_some(),
            "cut at {cut}"
        );
    }
}

#[test]
fn compaction_keeps_what_the_root_reaches_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (child, child_bytes) = leaf(&["a", "b"]);
    let (root, root_bytes) = folder_page(child);
    let (dead, dead_bytes) = leaf(&["dead"]);
    let mut state = SeriesState::open(dir.path(), &[2; 16]).unwrap();
    for (id, bytes) in [
        (&dead, &dead_bytes),
        (&child, &child_bytes),
        (&root, &root_bytes),
    ] {
        state.keep(id, bytes).unwrap();
    }
    state.compact(root).unwrap();
    assert!(state.page(&root).is_some() && state.page(&child).is_some());
    assert!(!state.knows(&dead));
    assert_eq!(state.pages.pages(), 2);
}
