//! Programs that take content well, badly, late, or not at all.

use std::io::{Seek, SeekFrom};

use super::*;

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(String::from).to_vec()
}

fn spooled(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

/// How it ended, and what the program said.
fn fed(command: &[String], content: &[u8]) -> (Result<(), CommandError>, Vec<String>) {
    let (stop, mut lines) = (CancellationToken::new(), Vec::new());
    let limits = Limits {
        stop: &stop,
        patience: Duration::from_secs(20),
    };
    let mut file = spooled(content);
    let content = Content {
        bytes: content.len() as u64,
        file: &mut file,
    };
    let ended = feed(command, content, limits, &mut |line| {
        lines.push(line.to_owned());
    });
    (ended, lines)
}

#[test]
fn the_program_gets_the_content_in_order_and_whole() {
    let tmp = tempfile::tempdir().unwrap();
    let out = tmp.path().join("out");
    let content: Vec<u8> = (0..3_000_001u32).map(|n| (n % 251) as u8).collect();
    let slow = format!("sleep 0.1; cat > {}; echo 3 rows >&2", out.display());
    let (ended, lines) = fed(&sh(&slow), &content);
    ended.unwrap();
    assert!(std::fs::read(&out).unwrap() == content);
    assert_eq!(lines, ["3 rows"]);
    fed(&sh(&format!("cat > {}", out.display())), b"")
        .0
        .unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), b"");
}

#[test]
fn failures_name_the_program_its_status_and_its_last_line() {
    let script = "cat >/dev/null; echo connecting >&2; echo no such database >&2; exit 3";
    let (ended, lines) = fed(&sh(script), b"x");
    let text = ended.unwrap_err().to_string();
    assert_eq!(text, "\"sh\" failed: exit status 3: no such database");
    assert_eq!(lines, ["connecting", "no such database"]);
    let text = fed(&sh("cat >/dev/null; kill -9 $$"), b"x").0;
    assert_eq!(
        text.unwrap_err().to_string(),
        "\"sh\" failed: killed by signal 9"
    );
    let gone = fed(&["/no/such/program".into()], b"x").0.unwrap_err();
    assert!(gone.to_string().contains("No such file"), "{gone}");
    assert!(fed(&[], b"x").0.is_err());
}

#[test]
fn a_success_without_having_read_everything_is_none() {
    let deaf = fed(&sh("exit 0"), b"12345").0.unwrap_err().to_string();
    assert!(deaf.contains("last 5 of 5 bytes"), "{deaf}");
    let many = vec![0; 1 << 20];
    let half = fed(&sh("head -c 100000 >/dev/null"), &many).0;
    assert!(
        matches!(half, Err(CommandError::Unread { left, .. }) if left >= 800_000),
        "{half:?}"
    );
}

#[test]
fn a_program_that_does_not_end_is_stopped_with_its_children() {
    let tmp = tempfile::tempdir().unwrap();
    let pid = tmp.path().join("pid");
    let stop = CancellationToken::new();
    let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
    for (canceled, patience, big) in [
        (false, 200, false),
        (false, 200, true),
        (true, 60_000, true),
    ] {
        let content = vec![0; if big { 1 << 20 } else { 10 }];
        let limits = Limits {
            stop: &stop,
            patience: Duration::from_millis(patience),
        };
        let mut file = spooled(&content);
        let content = Content {
            bytes: content.len() as u64,
            file: &mut file,
        };
        if canceled {
            stop.cancel();
        }
        let start = Instant::now();
        let error = feed(&sh(&script), content, limits, &mut |_| {}).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(10));
        let expected = if canceled {
            "canceled"
        } else {
            "neither read nor ended"
        };
        assert!(error.to_string().contains(expected), "{error}");
        if !canceled {
            let sleeper = std::fs::read_to_string(&pid).unwrap();
            let stat = format!("/proc/{}/stat", sleeper.trim());
            // It is killed, but dies when the kernel comes to it.
            let alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
            while alive() {
                assert!(start.elapsed() < Duration::from_secs(10));
                std::thread::yield_now();
            }
        }
    }
}

#[test]
fn what_a_program_leaves_running_holds_nobody_up() {
    let start = Instant::now();
    fed(&sh("cat >/dev/null; sleep 5 &"), b"x").0.unwrap();
    assert!(start.elapsed() < Duration::from_secs(4));
}
