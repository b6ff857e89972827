//! `up` and `down` with daemons that only pretend: what is started, what is taken back, what is refused.
//!
//! This test's own program is copied under the daemons' names, because a daemon is recognised by its program's name; so
//! it has a `main` of its own instead of the usual harness.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout
)]

#[allow(dead_code)] // the other test uses the rest
mod scripted;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::{Value, json as value};

fn main() {
    let name = std::env::args().next().unwrap();
    match Path::new(&name).file_name().unwrap().to_str().unwrap() {
        "holdfast-director" => pretend_director(),
        "holdfast-storaged" => pretend("storage"),
        "holdfast-filed" => pretend("client"),
        _ => tests(),
    }
}

// --- the pretended daemons

fn config() -> PathBuf {
    std::env::args().nth(2).unwrap().into()
}

fn until_killed() -> ! {
    loop {
        std::thread::park();
    }
}

fn pretend(word: &str) {
    let folder = config().parent().unwrap().to_owned();
    if std::env::args().nth(3).as_deref() == Some("enrol") {
        std::fs::create_dir_all(folder.join("pki")).unwrap();
        std::fs::write(folder.join("pki/daemon.toml"), "").unwrap();
        return;
    }
    if std::env::var("FAKE_FAILS").is_ok_and(|failing| failing == word) {
        eprintln!("the disk is on fire");
        std::process::exit(1);
    }
    std::fs::write(folder.join("connected"), "").unwrap();
    until_killed();
}

fn pretend_director() {
    let folder = config().parent().unwrap().to_owned();
    let text = std::fs::read_to_string(config()).unwrap();
    let parsed: toml::Table = text.parse().unwrap();
    let listen = parsed["director"]["listen"][0].as_str().unwrap().to_owned();
    let client = parsed["client"]
        .as_table()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
        let root = folder.parent().unwrap().to_owned();
        let respond = move |request: &str| match request {
            "GET /status" => scripted::json(&status(&root, &client)),
            "POST /storages" | "POST /clients" => scripted::json(&value!({
                "name": "x", "token": "hf1-t", "expires_at": "2026-11-24T12:00:00Z", "command": "", "addresses": []
            })),
            other => scripted::problem(404, "not-found", other),
        };
        scripted::direct(listener, &folder.join("admin.toml"), Arc::new(respond), Arc::default());
        std::future::pending::<()>().await;
    });
}

fn status(root: &Path, client: &str) -> Value {
    let daemon = |role: &str, word: &str, name: &str| {
        value!({
            "role": role, "name": name, "connected": root.join(word).join("connected").is_file()
        })
    };
    value!({
        "director": {"version": "0", "now": "2026-11-24T12:00:00Z", "started_at": "2026-11-24T11:00:00Z", "uptime_s": 1,
            "zone": "UTC", "listen": [], "addresses": [], "loopback_only": true, "root_sha256": ""},
        "catalog": {"kind": "embedded", "version": "15", "size_bytes": 0, "reachable": true},
        "daemons": [daemon("storage", "storage", "local"), daemon("file", "client", client)],
        "running": [], "queued": 0, "alerts": [],
        "stored": {"volumes": 0, "volume_bytes": 0, "snapshots": 0, "protected_bytes": 0, "free_bytes": 0}
    })
}

// --- the tests

fn tests() {
    if std::env::args().any(|a| a == "--list") {
        println!("all: test");
        return;
    }
    for (name, test) in [
        (
            "up_starts_all_and_again_nothing_and_down_stops",
            up_and_down as fn(&Place),
        ),
        ("a_daemon_that_fails_takes_the_others_back", takes_back),
        ("a_taken_port_is_named_before_anything_starts", taken_port),
        (
            "listen_changes_a_configuration_that_is_not_in_use",
            listen_changes,
        ),
    ] {
        let place = Place::new();
        test(&place);
        println!("test {name} ... ok");
    }
}

/// Programs in one folder, an installation in another, a port base that is free.
struct Place {
    folder: tempfile::TempDir,
    base: u16,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Also after a failed test no daemon is left behind.
        self.console(&["down"], "");
    }
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let me = std::env::current_exe().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_holdfast"), bin.join("holdfast")).unwrap();
        for name in ["holdfast-director", "holdfast-storaged", "holdfast-filed"] {
            std::fs::hard_link(&me, bin.join(name))
                .or_else(|_| std::fs::copy(&me, bin.join(name)).map(drop))
                .unwrap();
        }
        let base = free_port();
        Self { folder, base }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn console(&self, words: &[&str], fails: &str) -> Output {
        // A database of our own is not needed, nor its user: the catalog is said to be elsewhere.
        let config = self.root().join("director/director.toml");
        if !config.is_file() && words.first() == Some(&"up") {
            std::fs::create_dir_all(config.parent().unwrap()).unwrap();
            let text = format!(
                "[director]\nlisten = [\"127.0.0.1:{}\"] # mine\n[catalog]\nurl = \"postgres://elsewhere\"\n[client.me]\n",
                self.base
            );
            std::fs::write(&config, text).unwrap();
            let client = self.root().join("client/client.toml");
            std::fs::create_dir_all(client.parent().unwrap()).unwrap();
            std::fs::write(&client, "[client]\nname = \"me\"\n").unwrap();
        }
        Command::new(self.folder.path().join("bin/holdfast"))
            .args(words)
            .arg("--root")
            .arg(self.root())
            .env("FAKE_FAILS", fails)
            .process_group(0)
            .output()
            .unwrap()
    }

    fn up(&self, fails: &str) -> Output {
        let base = self.base.to_string();
        self.console(&["up", "--json", "--port-base", &base], fails)
    }
}

/// A port that is free, and the one two above it.
fn free_port() -> u16 {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port));
    (0..100)
        .filter_map(|_| free(0).ok()?.local_addr().ok())
        .map(|a| a.port())
        .find(|port| *port < 65_000 && free(*port).is_ok() && free(port + 2).is_ok())
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn pids(output: &Output) -> Vec<(u64, bool)> {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let daemons = read["daemons"].as_array().unwrap();
    daemons
        .iter()
        .map(|d| (d["pid"].as_u64().unwrap(), d["started"].as_bool().unwrap()))
        .collect()
}

fn up_and_down(place: &Place) {
    let first = pids(&place.up(""));
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|(_, started)| *started));
    assert!(place.root().join("console.toml").is_file());
    let session = std::fs::read_to_string(format!("/proc/{}/stat", first[0].0)).unwrap();
    let session = session
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(3)
        .unwrap()
        .to_owned();
    assert_eq!(
        session,
        first[0].0.to_string(),
        "a daemon leads a session of its own"
    );
    let again = pids(&place.up(""));
    assert!(
        again
            .iter()
            .zip(&first)
            .all(|(now, then)| now.0 == then.0 && !now.1),
        "nothing is started twice"
    );
    let down = place.console(&["down"], "");
    assert_eq!(down.status.code(), Some(0), "{}", text(&down.stderr));
    let order: Vec<&str> = text(&down.stdout)
        .lines()
        .map(|l| l.split(':').next().unwrap())
        .collect();
    assert_eq!(order, ["File Daemon", "Storage Daemon", "Director"]);
    for (pid, _) in first {
        assert!(
            !Path::new(&format!("/proc/{pid}/exe")).exists(),
            "{pid} still runs"
        );
    }
    assert!(!place.root().join("run/director.pid").exists());
}

fn takes_back(place: &Place) {
    let failed = place.up("client");
    assert_eq!(failed.status.code(), Some(2));
    let said = text(&failed.stdout);
    for part in ["File Daemon ended", "the disk is on fire"] {
        assert!(said.contains(part), "{said}");
    }
    let down = place.console(&["down"], "");
    assert_eq!(
        text(&down.stdout).matches("was not running").count(),
        3,
        "{}",
        text(&down.stdout)
    );
}

fn taken_port(place: &Place) {
    let _holder = std::net::TcpListener::bind(("127.0.0.1", place.base + 2)).unwrap();
    let base = place.base.to_string();
    let refused = place.console(&["up", "--port-base", &base], "");
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    for part in [&format!("(pid {})", std::process::id()), "--port-base"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!place.root().join("run/director.pid").exists());
}

fn listen_changes(place: &Place) {
    let base = place.base.to_string();
    let words = [
        "up",
        "--json",
        "--only",
        "director",
        "--listen",
        "127.0.0.2",
        "--port-base",
        &base,
    ];
    pids(&place.console(&words, ""));
    let config = std::fs::read_to_string(place.root().join("director/director.toml")).unwrap();
    assert!(
        config.contains(&format!("listen = [\"127.0.0.2:{base}\"] # mine")),
        "{config}"
    );
    let again = [
        "up",
        "--only",
        "director",
        "--listen",
        "127.0.0.3",
        "--port-base",
        &base,
    ];
    let refused = place.console(&again, "");
    assert!(
        text(&refused.stderr).contains("`holdfast down` first"),
        "{}",
        text(&refused.stderr)
    );
}
