//! Figures, on demand: `cargo test --release -p storage-daemon --lib throughput -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::sync::Arc;
use std::time::Instant;

use common::ids::ChunkId;
use common::object::segment::{Codec, Segment, Slot};
use common::object::snapshot::Snapshot;
use common::protocol::orders::Selection;
use common::protocol::restore::OpenRestore;
use common::protocol::ticket::Ticket;

use crate::format::block::Kind;
use crate::session::outbox::{Next, outbox};
use crate::session::restore::{Plan, Restore};
use crate::store::sorted_index::SortedIndex;
use crate::store::testing::{directory, file, open, page, segment, writer};
use crate::store::verify::{Verified, verify};
use crate::store::{ChunkIndex as _, Store};
use crate::volume::Location;

/// Text-like content: words of a small vocabulary, about 2.5 to 1.
fn text(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 16);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(format!("{:x} ", state & 0xffff_ffff).as_bytes());
        out.extend_from_slice(&b"the quick brown fox jumps over"[..(state >> 40) as usize % 30]);
    }
    out.truncate(len);
    out
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn memory_mib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with(field)).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[test]
#[ignore = "a measurement"]
fn throughput_of_a_first_full_and_its_restore() {
    let dir = tempfile::Builder::new()
        .prefix("holdfast-bench")
        .tempdir_in("/var/tmp")
        .unwrap();
    let store = open(dir.path());
    // 80,000 files of 8 KiB in directories of 200: 640 MB plain.
    let mut segments: Vec<Segment> = Vec::new();
    let mut pages = Vec::new();
    let mut top = Vec::new();
    for d in 0..400u64 {
        let contents: Vec<Vec<u8>> = (0..200).map(|n| text(d * 200 + n + 1, 8192)).collect();
        for half in contents.chunks(100) {
            segments.push(segment(&half.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        }
        let entries: Vec<_> = contents
            .iter()
            .enumerate()
            .map(|(n, c)| file(&format!("file{n:04}.txt"), c))
            .collect();
        let (id, bytes) = page(&entries);
        pages.push(bytes);
        top.push(directory(&format!("dir{d:05}"), id));
    }
    let (root, bytes) = page(&top);
    pages.push(bytes);
    let stored: usize = segments.iter().map(|s| s.payload.len()).sum();
    let plain: usize = segments.iter().map(Segment::plain_bytes).sum();

    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut w = writer(&store);
    let mut queue = std::collections::VecDeque::new();
    let loads = segments.iter().map(|s| (Kind::Segment, s.clone()));
    let runs: Vec<Segment> = pages
        .chunks(16)
        .map(|r| segment(&r.iter().map(Vec::as_slice).collect::<Vec<_>>()))
        .collect();
    for (kind, load) in loads.chain(runs.into_iter().map(|s| (Kind::Pages, s))) {
        let (tx, rx) = crossbeam_channel::bounded(1);
        store
            .pool()
            .submit(move |plain| drop(tx.send(verify(kind, load, plain).unwrap())));
        queue.push_back(rx);
        if queue.len() >= 16 {
            w.append(&queue.pop_front().unwrap().recv().unwrap())
                .unwrap();
        }
    }
    for rx in queue {
        w.append(&rx.recv().unwrap()).unwrap();
    }
    let appended = start.elapsed();
    let snapshot = Snapshot {
        root: root.0.to_vec(),
        job_id: 1,
        number: 1,
        ..Snapshot::default()
    };
    w.snapshot(&snapshot.to_bytes()).unwrap();
    w.close();
    let all = start.elapsed();
    println!(
        "ingest: {} MB stored of {} MB plain, {:.2} s append + {:.2} s commit = {:.0} MB/s plain, {:.2} s CPU",
        stored / 1_000_000,
        plain / 1_000_000,
        appended.as_secs_f64(),
        (all - appended).as_secs_f64(),
        plain as f64 / 1e6 / all.as_secs_f64(),
        cpu_seconds() - cpu
    );
    ask(&store);
    restore(&store, root.0.to_vec());
    println!(
        "peak memory {} MiB (the bench's own data included)",
        memory_mib("VmHWM")
    );
}

fn ask(store: &Arc<Store>) {
    let known: Vec<ChunkId> = (1..4097).map(|n| ChunkId::of(&text(n, 8192))).collect();
    let unknown: Vec<ChunkId> = (0..4096u64)
        .map(|n| ChunkId::of(&n.to_le_bytes()))
        .collect();
    for (what, ids) in [("known", known), ("unknown", unknown)] {
        let start = Instant::now();
        let have = store.have(&ids, &Default::default()).unwrap();
        let ones: u32 = have.iter().map(|b| b.count_ones()).sum();
        println!(
            "ask: 4096 {what} ids in {:?}, {ones} present",
            start.elapsed()
        );
    }
}

fn restore(store: &Arc<Store>, root: Vec<u8>) {
    let ticket = Ticket {
        roots: vec![root],
        ..Ticket::default()
    };
    let request = OpenRestore {
        selection: Some(Selection::default()),
        ..OpenRestore::default()
    };
    let plan = Plan::new(store, &ticket, &request).unwrap();
    let (sender, mut outlet) = outbox();
    let (done, answers) = crossbeam_channel::bounded(64);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let to = sender.clone();
    let from = store.clone();
    let thread = std::thread::spawn(move || {
        Restore::new(from, plan, to.clone(), answers).run().unwrap();
        to.end();
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (mut bytes, mut frames, mut windows) = (0usize, 0, 0);
    runtime.block_on(async {
        while let Some(Next::Frame(frame)) = outlet.next().await {
            if frame.frame_type == common::protocol::frame::FrameType::WindowEnd {
                windows += 1;
                done.try_send(windows).unwrap();
            }
            bytes += frame.head.len() + frame.payload.len();
            frames += 1;
            outlet.sent(frame.head.len() + frame.payload.len());
        }
    });
    thread.join().unwrap();
    let s = start.elapsed().as_secs_f64();
    println!(
        "restore: {} MB in {frames} frames and {windows} windows, {s:.2} s = {:.0} MB/s stored, {:.2} s CPU",
        bytes / 1_000_000,
        bytes as f64 / 1e6 / s,
        cpu_seconds() - cpu
    );
}

#[test]
#[ignore = "a measurement"]
fn throughput_of_the_index_with_five_million_ids() {
    let dir = tempfile::Builder::new()
        .prefix("holdfast-bench")
        .tempdir_in("/var/tmp")
        .unwrap();
    let index = SortedIndex::open(dir.path(), Box::new(|| Ok(()))).unwrap();
    let before = memory_mib("VmRSS");
    let id = |n: u64| ChunkId::of(&n.to_le_bytes());
    let start = Instant::now();
    let mut hashing = std::time::Duration::ZERO;
    for step in 0..100u64 {
        let hash = Instant::now();
        let place = Location {
            volume: 1,
            unit: step as u32,
            units: 9,
            slot: 0,
        };
        let batch: Vec<_> = (step * 50_000..(step + 1) * 50_000)
            .map(|n| (id(n), place))
            .collect();
        hashing += hash.elapsed();
        index.insert(&mut batch.into_iter(), 1, step).unwrap();
    }
    index.flush().unwrap();
    let took = start.elapsed() - hashing;
    println!(
        "index: 5 M ids in {took:?} = {:.2} M/s, memory {} MiB more",
        5.0 / took.as_secs_f64(),
        memory_mib("VmRSS") - before
    );
    drop(index);
    let start = Instant::now();
    let index = SortedIndex::open(dir.path(), Box::new(|| Ok(()))).unwrap();
    println!("index: opened in {:?}", start.elapsed());
    for (what, from) in [("known", 1_000_000u64), ("unknown", 9_000_000)] {
        let ids: Vec<_> = (from..from + 4096).map(id).collect();
        let start = Instant::now();
        let found = ids
            .iter()
            .filter(|id| index.get(id).unwrap().is_some())
            .count();
        println!(
            "index: 4096 {what} ids in {:?}, {found} found",
            start.elapsed()
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn throughput_of_a_rebuild_with_ids_in_commits_and_in_slot_tables() {
    const IDS: u64 = 2_000_000;
    for slots in [16u64, 64, 65, 120, 1000] {
        let dir = tempfile::Builder::new()
            .prefix("holdfast-bench")
            .tempdir_in("/var/tmp")
            .unwrap();
        let store = open(dir.path());
        let mut w = writer(&store);
        for n in (0..IDS).step_by(slots as usize) {
            let ids = (n..n + slots).map(|n| ChunkId::of(&n.to_le_bytes()));
            let segment = Segment {
                codec: Codec::Stored,
                slots: ids.map(|id| Slot { id, len: 1 }).collect(),
                payload: vec![0; slots as usize].into(),
            };
            let kind = Kind::Segment;
            let needs = Vec::new();
            w.append(&Verified {
                kind,
                segment,
                needs,
            })
            .unwrap();
        }
        w.close();
        drop(store);
        std::fs::remove_dir_all(dir.path().join("state")).unwrap();
        let start = Instant::now();
        let store = open(dir.path());
        let took = start.elapsed();
        println!(
            "rebuild: {} ids in blocks of {slots} in {took:?} = {:.2} M/s",
            store.index().len(),
            store.index().len() as f64 / 1e6 / took.as_secs_f64()
        );
    }
}
