//! What `show`, `log` and the end of a restore look like.
#![allow(clippy::unwrap_used, clippy::panic)]

use jiff::tz::TimeZone;

use super::*;

fn backup() -> Run {
    serde_json::from_value(serde_json::json!({
        "job_id": 17, "kind": "backup", "job": "nightly", "client": "web01", "status": "warnings",
        "level": "full", "level_reason": "no earlier snapshot", "started_by": "user admin",
        "queued_at": "2026-11-24T12:00:00Z", "started_at": "2026-11-24T12:00:01Z", "ended_at": "2026-11-24T12:01:03Z",
        "counts": {"entries": 1200, "files": 1000, "directories": 200, "protected_bytes": 1_650_000_000_u64,
                   "read_bytes": 1_600_000_000_u64, "sent_bytes": 800_000_000, "stored_bytes": 790_000_000,
                   "files_read": 999, "new_entries": 1200, "unsaved": 1},
        "warnings": 1, "snapshot": "00112233445566778899", "number": 1, "pool": "main", "volumes": ["main-0001"]
    }))
    .unwrap()
}

#[test]
fn show_has_the_five_figures_level_and_reason() {
    assert_eq!(
        run_report(&backup(), &Zone(TimeZone::UTC)),
        "\
run         17 (backup)
job         nightly
client      web01
status      warnings
level       full (no earlier snapshot)
started by  user admin
queued      2026-11-24 12:00:00 +0000
started     2026-11-24 12:00:01 +0000
ended       2026-11-24 12:01:03 +0000 (took 1:02)
files       1,000
protected   1.65 GB
read        1.60 GB (999 files)
sent        800 MB
stored      790 MB
entries     1,200: 1,200 new, 0 changed, 0 removed
not saved   1
warnings    1
pool        main
volumes     main-0001
snapshot    number 1 of its series, 001122334455
kept until  for ever"
    );
}

fn restore(mode: &str, status: &str, to: &str) -> String {
    let run: Run = serde_json::from_value(serde_json::json!({
        "job_id": 18, "kind": "restore", "client": "web01", "status": status, "queued_at": "2026-11-24T12:00:00Z",
        "counts": {"entries": 5, "files": 3, "protected_bytes": 4096}, "warnings": 2, "reason": if status == "error" { "disk full" } else { "" },
        "restore": {"from_client": "web01", "from_job_id": 17, "as_of": "2026-11-24T12:00:01Z", "to": to, "mode": mode}
    }))
    .unwrap();
    restore_end(&run)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_end_of_a_restore_says_what_where_and_problems() {
    for (mode, status, to, said) in [
        (
            "restore",
            "ok",
            "/tmp/r",
            "run 18: restored 3 files, 4.10 kB to web01:/tmp/r",
        ),
        (
            "restore",
            "warnings",
            "/",
            "run 18: restored 3 files, 4.10 kB to web01: where the files were, with 2 problems",
        ),
        (
            "dry-run",
            "ok",
            "/tmp/r",
            "run 18: would restore 3 files, 4.10 kB to web01:/tmp/r; nothing was written",
        ),
        (
            "compare",
            "warnings",
            "/",
            "run 18: compared 3 files, 4.10 kB with web01: where the files were: 2 differences",
        ),
        (
            "restore",
            "error",
            "/tmp/r",
            "run 18: restore error: disk full; 3 files, 4.10 kB at web01:/tmp/r",
        ),
    ] {
        assert_eq!(restore(mode, status, to), said);
    }
}

#[test]
fn a_log_line_names_time_source_and_gravity() {
    let line: LogLine = serde_json::from_value(serde_json::json!({
        "seq": 1, "at": "2026-11-24T12:00:00Z", "severity": "warning", "source": "client web01", "text": "cannot read /a"
    }))
    .unwrap();
    assert_eq!(
        log_line(&line, &Zone(TimeZone::UTC)),
        "2026-11-24 12:00:00 +0000  client web01: warning: cannot read /a"
    );
}
