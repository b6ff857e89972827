//! The program itself: starts, says ready, keeps a second one out, ends when told, looks at its volumes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::ids::{Identity, Role};
use common::net::issuer::{LEAF_LIFE_MS, Validity};
use common::net::testing::Installation;

fn program(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast-storaged"));
    command
        .arg("--config")
        .arg(config)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

fn installed(folder: &Path) -> PathBuf {
    let installation = Installation::new().unwrap();
    let identity = Identity {
        role: Role::Storage,
        id: uuid::Uuid::new_v4(),
    };
    let validity = Validity::of(common::clock::now_ms(), LEAF_LIFE_MS);
    installation
        .credentials(identity, validity)
        .unwrap()
        .save(&folder.join("pki"))
        .unwrap();
    let config = folder.join("storage.toml");
    let text =
        "[storage]\nname = \"vault1\"\nlisten = [\"127.0.0.1:0\"]\ndirector = [\"127.0.0.1:1\"]\n";
    std::fs::write(&config, text).unwrap();
    config
}

/// The lines up to the one with `words`.
fn wait_for(child: &mut Child, words: &str) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains(words) {
        let mut line = String::new();
        assert!(
            lines.read_line(&mut line).unwrap() > 0,
            "ended without {words:?}:\n{seen}"
        );
        seen.push_str(&line);
    }
    // The rest is read so that the pipe never fills.
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = lines.read_to_end(&mut rest);
    });
    seen
}

#[test]
fn it_starts_keeps_a_second_one_out_and_ends_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = installed(dir.path());
    let mut first = program(&config).spawn().unwrap();
    let seen = wait_for(&mut first, "ready");
    assert!(seen.contains("address=\"127.0.0.1:"), "{seen}");

    let second = program(&config).output().unwrap();
    assert!(!second.status.success());
    let words = String::from_utf8(second.stderr).unwrap();
    assert!(words.contains("running already"), "{words}");
    let tool = program(&config).args(["volume", "list"]).output().unwrap();
    assert!(
        !tool.status.success(),
        "the tool does not touch volumes of a running daemon"
    );

    let start = Instant::now();
    let pid = rustix::process::Pid::from_raw(i32::try_from(first.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(first.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(10));

    let tool = program(&config)
        .args(["volume", "verify"])
        .output()
        .unwrap();
    assert!(
        tool.status.success(),
        "{}",
        String::from_utf8_lossy(&tool.stderr)
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let config = installed(dir.path());
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("name", "nmae")).unwrap();
    let output = program(&config).arg("check-config").output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && words.contains("nmae") && words.contains("name"),
        "{words}"
    );

    let config = installed(dir.path());
    std::fs::remove_dir_all(dir.path().join("pki")).unwrap();
    let output = program(&config).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && words.contains("enrol"),
        "{words}"
    );
}
