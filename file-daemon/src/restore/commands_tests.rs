//! Saved output of commands: back into a command in place, into a file elsewhere.

use std::path::Path;

use common::fileset::Command;
use common::object::attribute::marks;
use common::protocol::fault::code;
use common::protocol::orders::RestoreOrder;

use super::test_server::{Node, Server, Stream};
use super::tests::{Lines, context, no_temporaries, order};
use super::*;

/// A dump as it lies in a snapshot, below the real path of `folder`.
fn saved(folder: &Path, content: &[u8]) -> Vec<Node> {
    let mut dump = Node::file("db.sql", content);
    dump.entry.marks |= marks::COMMAND;
    let names: Vec<_> = folder.to_str().unwrap().split('/').skip(1).collect();
    names
        .iter()
        .rev()
        .fold(vec![dump, Node::file("plain", b"text")], |below, name| {
            vec![Node::implied(name, below)]
        })
}

/// An order in place, with a shell script that takes the dump back.
fn in_place(folder: &Path, script: &str) -> RestoreOrder {
    let command = Command {
        path: folder.join("db.sql").to_str().unwrap().into(),
        read: vec!["dump".into()],
        write: ["sh", "-c", script].map(String::from).to_vec(),
    };
    RestoreOrder {
        commands: vec![command],
        ..order(Path::new("/"))
    }
}

fn restore(
    order: &RestoreOrder,
    stream: &mut Stream,
    change: impl FnOnce(&mut RestoreContext),
) -> (RestoreOutcome, Lines) {
    let (mut context, lines) = context();
    change(&mut context);
    (run(order, stream, &context), lines)
}

fn says(lines: &Lines, what: &str) -> bool {
    lines.lock().iter().any(|(_, line)| line.contains(what))
}

#[test]
fn in_place_the_command_gets_the_content_in_order_when_the_files_are_there() {
    let tmp = tempfile::tempdir().unwrap();
    let folder = tmp.path().canonicalize().unwrap();
    let content: Vec<u8> = (0..9_000_000u32)
        .flat_map(|n| (n % 7919).to_le_bytes())
        .take(20 << 20)
        .collect();
    // Segments come backwards, and over many windows.
    let server = Server {
        segments_per_window: 1,
        ..Server::default()
    };
    let got = folder.join("got");
    let script = format!(
        "test -f {}/plain || exit 9; cat > {}; echo 5 rows >&2",
        folder.display(),
        got.display()
    );
    let order = in_place(&folder, &script);
    let (outcome, lines) = restore(
        &order,
        &mut server.stream(&saved(&folder, &content)),
        |_| {},
    );
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    assert!(std::fs::read(&got).unwrap() == content);
    assert!(!folder.join("db.sql").exists());
    assert_eq!(
        (outcome.counts.files, outcome.counts.protected_bytes),
        (2, content.len() as u64 + 4)
    );
    assert!(
        says(&lines, "sh: 5 rows") && says(&lines, "took "),
        "{:?}",
        lines.lock()
    );
    // No output is content, too.
    let (outcome, _) = restore(&order, &mut server.stream(&saved(&folder, b"")), |_| {});
    assert_eq!(
        (outcome.status, std::fs::read(&got).unwrap().len()),
        (Status::Ok, 0)
    );
    no_temporaries(&folder);
}

#[test]
fn to_a_folder_and_without_a_command_it_becomes_a_file() {
    let tmp = tempfile::tempdir().unwrap();
    let folder = tmp.path().canonicalize().unwrap();
    let nodes = saved(&folder, b"dump");
    let elsewhere = tempfile::tempdir().unwrap();
    let mut to_folder = in_place(&folder, "exit 1");
    to_folder.to = elsewhere.path().to_str().unwrap().into();
    let (outcome, _) = restore(&to_folder, &mut Server::default().stream(&nodes), |_| {});
    assert_eq!(outcome.status, Status::Ok);
    let file = elsewhere
        .path()
        .join(folder.strip_prefix("/").unwrap())
        .join("db.sql");
    assert_eq!(std::fs::read(file).unwrap(), b"dump");

    let plain = order(Path::new("/"));
    let (outcome, lines) = restore(&plain, &mut Server::default().stream(&nodes), |_| {});
    assert_eq!(outcome.status, Status::Ok);
    assert_eq!(std::fs::read(folder.join("db.sql")).unwrap(), b"dump");
    assert!(says(&lines, "it becomes a file"), "{:?}", lines.lock());
}

#[test]
fn a_command_that_fails_makes_the_run_an_error_that_says_everything() {
    let tmp = tempfile::tempdir().unwrap();
    let folder = tmp.path().canonicalize().unwrap();
    let order = in_place(&folder, "cat >/dev/null; echo no such role >&2; exit 3");
    let (outcome, lines) = restore(
        &order,
        &mut Server::default().stream(&saved(&folder, b"dump")),
        |_| {},
    );
    assert_eq!((outcome.status, outcome.failed), (Status::Error, 1));
    let fault = outcome.fault.unwrap();
    assert_eq!(fault.code, code::COMMAND);
    for part in ["db.sql", "\"sh\"", "exit status 3", "no such role"] {
        assert!(fault.text.contains(part) && says(&lines, part), "{fault:?}");
    }
    assert_eq!(std::fs::read(folder.join("plain")).unwrap(), b"text");
}

#[test]
fn nothing_is_given_of_a_restore_that_broke_off() {
    let tmp = tempfile::tempdir().unwrap();
    let folder = tmp.path().canonicalize().unwrap();
    let order = in_place(&folder, &format!("touch {}/ran", folder.display()));
    let mut stream = Server::default().stream(&saved(&folder, b"dump"));
    stream.messages.pop_back();
    let (outcome, lines) = restore(&order, &mut stream, |_| {});
    assert_eq!(outcome.status, Status::Error);
    assert!(
        says(&lines, "the restore ended before \"sh\" got it"),
        "{:?}",
        lines.lock()
    );
    // Damaged content is not given either.
    let damaged = Server {
        corrupt: vec![b"db.sql".to_vec()],
        ..Server::default()
    };
    let (outcome, _) = restore(
        &order,
        &mut damaged.stream(&saved(&folder, b"dump")),
        |_| {},
    );
    assert_eq!((outcome.status, outcome.lost), (Status::Error, 1));
    assert!(!folder.join("ran").exists());
}

#[test]
fn what_the_client_forbids_does_not_run_and_a_dry_run_runs_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let folder = tmp.path().canonicalize().unwrap();
    let order = in_place(
        &folder,
        &format!("touch {}/ran; cat >/dev/null", folder.display()),
    );
    let stream = || Server::default().stream(&saved(&folder, b"dump"));
    let dry = RestoreOrder {
        mode: "dry-run".into(),
        ..order.clone()
    };
    let (outcome, lines) = restore(&dry, &mut stream(), |_| {});
    assert_eq!(outcome.status, Status::Ok);
    assert!(says(&lines, "db.sql to \"sh\""), "{:?}", lines.lock());
    for order in [&dry, &order] {
        let (outcome, lines) = restore(order, &mut stream(), |c| {
            c.permit_commands = Some(vec!["psql".into()]);
        });
        assert_eq!(outcome.status, Status::Error);
        let fault = outcome.fault.unwrap();
        assert!(
            fault.text.contains("permit the command \"sh\""),
            "{fault:?}"
        );
        assert!(
            says(&lines, "see permit_commands in its client.toml"),
            "{:?}",
            lines.lock()
        );
    }
    assert!(!folder.join("ran").exists());
    let (outcome, _) = restore(&order, &mut stream(), |c| {
        c.permit_commands = Some(vec!["sh".into()])
    });
    assert_eq!(outcome.status, Status::Ok);
    assert!(folder.join("ran").exists());
}

#[test]
fn a_spool_that_cannot_be_written_is_named() {
    let tmp = tempfile::tempdir().unwrap();
    let folder = tmp.path().canonicalize().unwrap();
    let order = in_place(&folder, "cat >/dev/null");
    let (outcome, lines) = restore(
        &order,
        &mut Server::default().stream(&saved(&folder, b"dump")),
        |c| {
            c.spool = folder.join("gone");
        },
    );
    assert_eq!((outcome.status, outcome.failed), (Status::Error, 1));
    let place = format!("cannot keep its content in {}/gone", folder.display());
    assert!(says(&lines, &place), "{:?}", lines.lock());
    assert_eq!(std::fs::read(folder.join("plain")).unwrap(), b"text");
}

#[test]
fn a_comparison_in_place_looks_for_no_file() {
    let tmp = tempfile::tempdir().unwrap();
    let folder = tmp.path().canonicalize().unwrap();
    let nodes = saved(&folder, b"dump");
    restore(
        &in_place(&folder, "cat >/dev/null"),
        &mut Server::default().stream(&nodes),
        |_| {},
    );
    let server = Server {
        chunk_names: true,
        ..Server::default()
    };
    let (context, lines) = context();
    let order = in_place(&folder, "exit 1");
    let outcome = crate::compare::run(&order, &mut server.stream(&nodes), &context);
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    assert!(
        says(&lines, "no file to compare it with"),
        "{:?}",
        lines.lock()
    );
}
