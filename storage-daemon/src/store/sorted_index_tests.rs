//! The index against a plain map, across restarts, merges, removals and damage.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn open(folder: &Path) -> SortedIndex {
    SortedIndex::open(folder, Box::new(|| Ok(()))).unwrap()
}

fn id(n: u64) -> ChunkId {
    ChunkId::of(&n.to_le_bytes())
}

fn place(n: u64) -> Location {
    Location {
        volume: 1 + (n % 3) as u32,
        unit: n as u32,
        units: 3,
        slot: (n % 100) as u16,
    }
}

fn fill(index: &SortedIndex, range: std::ops::Range<u64>) {
    let mark = range.end;
    let mut batch = range.map(|n| (id(n), place(n)));
    index.insert(&mut batch, 1, mark).unwrap();
}

#[test]
fn ids_are_found_in_memory_in_runs_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    for step in 0..9 {
        fill(&index, step * 5000..(step + 1) * 5000);
        index.flush().unwrap();
    }
    fill(&index, 45_000..46_000);
    assert!(
        index.state.read().runs.len() < 6,
        "runs of like size are merged"
    );
    for n in 0..46_000 {
        assert_eq!(index.get(&id(n)).unwrap(), Some(place(n)), "{n}");
    }
    assert_eq!(index.get(&id(99_999_999)).unwrap(), None);
    drop(index);
    let index = open(dir.path());
    assert_eq!(
        index.marks()[&1],
        45_000,
        "what was not written out is behind the mark"
    );
    assert_eq!(index.get(&id(44_999)).unwrap(), Some(place(44_999)));
    assert_eq!(index.get(&id(45_500)).unwrap(), None);
}

#[test]
fn the_newest_place_wins_and_removed_ids_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    fill(&index, 0..1000);
    index.flush().unwrap();
    let mut moved = [(id(5), place(77))].into_iter();
    index.insert(&mut moved, 1, 2000).unwrap();
    index
        .remove(&[(id(6), place(6)), (id(7), place(8))])
        .unwrap();
    for _ in 0..2 {
        assert_eq!(index.get(&id(5)).unwrap(), Some(place(77)));
        assert_eq!(index.get(&id(6)).unwrap(), None);
        assert_eq!(
            index.get(&id(7)).unwrap(),
            Some(place(7)),
            "it lies elsewhere by now"
        );
        index.flush().unwrap();
    }
    drop(index);
    assert_eq!(open(dir.path()).get(&id(6)).unwrap(), None);
}

#[test]
fn a_damaged_index_starts_empty_without_marks() {
    for name in ["manifest", "00000001.run"] {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path());
        fill(&index, 0..1000);
        index.flush().unwrap();
        drop(index);
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - 9;
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let index = open(dir.path());
        assert!(index.is_empty() && index.marks().is_empty(), "{name}");
    }
}

#[test]
fn a_merge_of_many_runs_keeps_the_newest_place_of_each_id() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    // Every run moves what the one before had, and half of an older one.
    for step in 0..13u64 {
        let mut batch = (0..4000).map(|n| (id(n * (1 + step % 2)), place(n + step)));
        index.insert(&mut batch, 1, step + 1).unwrap();
        index.flush().unwrap();
    }
    assert!(index.state.read().runs.len() < 4);
    for n in 0..4000 {
        assert_eq!(index.get(&id(n)).unwrap(), Some(place(n + 12)), "{n}");
    }
    let twice = (4000..8000).filter(|n| n % 2 == 0);
    for n in twice {
        assert_eq!(index.get(&id(n)).unwrap(), Some(place(n / 2 + 11)), "{n}");
    }
}
