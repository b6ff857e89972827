//! The console's program against a scripted Director: what a person sees, what a script reads, how it exits.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod scripted;

use std::process::Output;

use scripted::{Script, events, json, problem, write_access};
use serde_json::{Value, json as value};

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn run(id: u64, status: &str) -> Value {
    value!({
        "job_id": id, "kind": "backup", "job": "nightly", "client": "web01", "status": status, "level": "full",
        "queued_at": "2026-11-24T12:00:00Z", "started_at": "2026-11-24T12:00:01Z",
        "counts": {"files": 3, "protected_bytes": 4096}
    })
}

fn status() -> Value {
    value!({
        "director": {"version": "0.1.0", "now": "2026-11-24T12:00:00Z", "started_at": "2026-11-24T11:00:00Z", "uptime_s": 3600,
            "zone": "Europe/Berlin", "listen": ["127.0.0.1:9311"], "addresses": ["127.0.0.1:9311"], "loopback_only": true, "root_sha256": ""},
        "catalog": {"kind": "embedded", "version": "15.1", "size_bytes": 12_000_000, "reachable": true},
        "daemons": [{"role": "file", "name": "web01", "connected": false, "last_seen": "2026-11-24T11:30:00Z"}],
        "running": [], "queued": 0,
        "stored": {"volumes": 2, "volume_bytes": 4096, "snapshots": 1, "protected_bytes": 8192, "free_bytes": 1_000_000},
        "alerts": []
    })
}

#[tokio::test]
async fn status_is_one_page_and_a_daemon_away_is_a_warning() {
    let script = Script::start(vec![
        ("GET /status", json(&status())),
        ("GET /status", json(&status())),
    ])
    .await;
    let shown = script.console(&["status"]).await;
    assert_eq!(shown.status.code(), Some(1), "{}", err(&shown));
    for text in [
        "up 1:00:00",
        "embedded PostgreSQL 15.1, 12.0 MB",
        "web01",
        "away",
        "this machine only",
    ] {
        assert!(out(&shown).contains(text), "{text}: {}", out(&shown));
    }
    let read = script.console(&["status", "--json"]).await;
    let read: Value = serde_json::from_str(&out(&read)).unwrap();
    assert_eq!(read["catalog"]["size_bytes"], 12_000_000);
}

#[tokio::test]
async fn lists_are_gathered_over_pages() {
    let script = Script::start(vec![
        (
            "GET /runs?limit=50&status=error%2Ccanceled%2Cincomplete",
            json(&value!({"items": [run(18, "error")], "next": "c"})),
        ),
        (
            "GET /runs?cursor=c&limit=49&status=error%2Ccanceled%2Cincomplete",
            json(&value!({"items": [run(17, "canceled")]})),
        ),
    ])
    .await;
    let shown = script.console(&["runs", "--failed"]).await;
    assert_eq!(
        shown.status.code(),
        Some(0),
        "{}{:?}",
        err(&shown),
        script.heard()
    );
    let text = out(&shown);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert!(
        rows[0].contains("18  nightly full") && rows[1].contains("17  nightly full"),
        "{text}"
    );
}

#[tokio::test]
async fn run_wait_survives_a_broken_stream_and_exits_as_the_run_ended() {
    let first = "event: log\ndata: {\"seq\":4,\"at\":\"2026-11-24T12:00:02Z\",\"severity\":\"warning\",\"text\":\"cannot read /a\\u001b[2J\"}\n\n";
    let last = format!("event: end\ndata: {}\n\n", run(17, "warnings"));
    let script = Script::start(vec![
        ("POST /runs", json(&value!({"runs": [run(17, "queued")]}))),
        ("GET /runs/17/events?after=0", events(first)),
        ("GET /runs/17/events?after=4", events(&last)),
    ])
    .await;
    let shown = script
        .console(&["run", "nightly", "--level", "full", "--wait"])
        .await;
    assert_eq!(shown.status.code(), Some(1), "{}", err(&shown));
    assert!(
        script.heard()[0].contains(r#"{"job":"nightly","level":"full"}"#),
        "{:?}",
        script.heard()
    );
    assert!(
        err(&shown).contains("warning: cannot read /a\\x1b[2J"),
        "{}",
        err(&shown)
    );
    assert!(
        out(&shown).contains("status     warnings"),
        "{}",
        out(&shown)
    );
}

#[tokio::test]
async fn a_restore_says_where_and_asks_for_the_time_as_the_director_means_it() {
    let restore = |status: &str| {
        let mut run = run(18, status);
        run["kind"] = "restore".into();
        run["restore"] = value!({"from_client": "web01", "from_job_id": 17, "as_of": "2026-11-20T08:00:00Z", "to": "/tmp/r", "mode": "restore"});
        run
    };
    let end = format!("event: end\ndata: {}\n\n", restore("ok"));
    let script = Script::start(vec![
        ("GET /status", json(&status())),
        ("POST /restores", json(&value!({"run": restore("queued")}))),
        ("GET /runs/18/events?after=0", events(&end)),
    ])
    .await;
    let words = [
        "restore",
        "web01",
        "--path",
        "/home/a",
        "--to",
        "/tmp/r",
        "--at",
        "2026-11-20 10:00",
    ];
    let shown = script.console(&words).await;
    assert_eq!(shown.status.code(), Some(0), "{}", err(&shown));
    assert!(
        err(&shown).contains("2026-11-20 10:00:00 +0100 (Europe/Berlin)"),
        "{}",
        err(&shown)
    );
    assert!(
        out(&shown).contains("run 18: restored 3 files, 4.10 kB to web01:/tmp/r"),
        "{}",
        out(&shown)
    );
    let asked = &script.heard()[1];
    for part in [
        r#""point":{"as_of":"2026-11-20T09:00:00.999999999Z"}"#,
        r#""paths":["/home/a"]"#,
        r#""to":{"dir":"/tmp/r"}"#,
    ] {
        assert!(asked.contains(part), "{asked}");
    }
}

#[tokio::test]
async fn refusals_exit_with_2_and_say_what_to_do() {
    let refusal = || {
        (
            "GET /runs/99",
            problem(404, "not-found", "run 99 does not exist"),
        )
    };
    let script = Script::start(vec![refusal(), refusal()]).await;
    let shown = script.console(&["show", "99"]).await;
    assert_eq!(shown.status.code(), Some(2));
    assert_eq!(
        err(&shown),
        "holdfast: refused: run 99 does not exist\n  do this\n"
    );
    let read = script.console(&["show", "99", "--json"]).await;
    let read: Value = serde_json::from_str(&out(&read)).unwrap();
    assert_eq!(read["error"]["code"], "not-found");
    assert_eq!(
        script.console(&["show", "seventeen"]).await.status.code(),
        Some(2)
    );
    assert_eq!(
        script.console(&["restore", "--help"]).await.status.code(),
        Some(0)
    );
}

#[tokio::test]
async fn another_installations_director_is_not_believed() {
    let script = Script::start(vec![("GET /status", json(&status()))]).await;
    let other = Script::start(Vec::new()).await;
    let root = std::fs::read_to_string(other.folder.path().join("root.pem")).unwrap();
    std::fs::write(script.folder.path().join("root.pem"), root).unwrap();
    let shown = script.console(&["status"]).await;
    assert_eq!(shown.status.code(), Some(2));
    assert!(err(&shown).contains("certificate"), "{}", err(&shown));
    assert!(
        script.heard().is_empty(),
        "the token was sent to a stranger"
    );
}

#[tokio::test]
async fn nobody_there_is_told_with_the_way_out() {
    let script = Script::start(Vec::new()).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let root = std::fs::read_to_string(script.folder.path().join("root.pem")).unwrap();
    write_access(
        &script.folder.path().join("console.toml"),
        "x.director.holdfast",
        free,
        &root,
    );
    let shown = script.console(&["runs"]).await;
    assert_eq!(shown.status.code(), Some(2));
    for text in ["does not answer", "holdfast up"] {
        assert!(err(&shown).contains(text), "{}", err(&shown));
    }
}

#[tokio::test]
async fn no_token_is_made_that_no_machine_could_use() {
    let script = Script::start(vec![("GET /status", json(&status()))]).await;
    let refused = script.console(&["client", "add", "web01"]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        err(&refused).contains("holdfast up --listen"),
        "{}",
        err(&refused)
    );
    assert_eq!(script.heard().len(), 1, "only the status was asked for");
}

#[tokio::test]
async fn whose_files_is_no_question_when_there_is_one_client() {
    let client = |name: &str| value!({"name": name, "enrolled": "enrolled", "connected": true});
    let listing = value!({"at": {"client": "me", "job": "nightly", "job_id": 17, "as_of": "2026-11-24T12:00:00Z"}, "path": "/etc", "entries": []});
    let script = Script::start(vec![
        (
            "GET /clients?limit=2",
            json(&value!({"items": [client("me")]})),
        ),
        (
            "GET /browse?client=me&limit=1000&path=%2Fetc",
            json(&listing),
        ),
        (
            "GET /clients?limit=2",
            json(&value!({"items": [client("me"), client("you")]})),
        ),
    ])
    .await;
    let shown = script.console(&["ls", "/etc"]).await;
    assert!(
        out(&shown).starts_with("me:/etc as of 2026-11-24 12:00:00 +0000"),
        "{}",
        err(&shown)
    );
    let refused = script.console(&["ls", "/etc"]).await;
    assert!(err(&refused).contains("whose files?"), "{}", err(&refused));
}
