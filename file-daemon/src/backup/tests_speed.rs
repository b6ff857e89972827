//! How fast a run with nothing to do is, and how much memory a million names take. Run by hand in release mode:
//! `cargo test --release -p file-daemon --lib speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::time::{Duration, Instant};

use super::tests_memory::Client;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// User and system time of this process so far.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks = |n: usize| {
        after
            .split_whitespace()
            .nth(n)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn peak_rss_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[test]
#[ignore = "measures speed: release mode, quiet machine"]
fn speed_of_a_run_with_nothing_to_do() {
    let mut client = Client::new();
    for folder in 0..12_500 {
        let at = client.path(&format!("{:02}/{folder:05}", folder % 50));
        fs::create_dir_all(&at).unwrap();
        for file in 0..16 {
            fs::write(
                at.join(format!("file-{file:02}.txt")),
                format!("{folder} {file}"),
            )
            .unwrap();
        }
    }
    let start = Instant::now();
    client.save("full");
    println!("full: {:?}, peak {} MiB", start.elapsed(), peak_rss_mib());
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let (start, cpu_before) = (Instant::now(), cpu());
        let saved = client.save("incremental");
        best = best.min(start.elapsed());
        println!(
            "nothing changed: {:?}, CPU {:?}",
            start.elapsed(),
            cpu() - cpu_before
        );
        assert_eq!(saved.counts.files_read, 0);
    }
    let start = Instant::now();
    let mut find = std::process::Command::new("find");
    find.arg(client.path(""))
        .args(["-printf", "%s"])
        .stdout(std::process::Stdio::null());
    assert!(find.status().unwrap().success());
    println!(
        "find: {:?}; best: {best:?}, peak {} MiB",
        start.elapsed(),
        peak_rss_mib()
    );
    assert!(best < Duration::from_millis(1200), "{best:?}");
}

#[test]
#[ignore = "measures memory: release mode"]
fn speed_and_memory_of_a_million_names_in_one_folder() {
    let mut client = Client::new();
    for file in 0..1_000_000 {
        fs::File::create(client.path(&format!("some-file-name-{file:07}"))).unwrap();
    }
    let before = peak_rss_mib();
    let start = Instant::now();
    client.save("full");
    println!(
        "full: {:?}, peak {before} -> {} MiB (storage of the test included)",
        start.elapsed(),
        peak_rss_mib()
    );
    let start = Instant::now();
    let saved = client.save("incremental");
    println!(
        "nothing changed: {:?}, peak {} MiB",
        start.elapsed(),
        peak_rss_mib()
    );
    assert_eq!(saved.counts.files_read, 0);
}
