//! What the Director asks, on a store with real snapshots.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use common::ids::{Identity, Role};
use common::net::control::ControlClient;
use common::net::testing::Installation;
use common::object::snapshot::Snapshot;
use common::protocol::control::{SessionQuery, SnapshotRequest};
use common::protocol::orders::CancelOrder;

use super::*;
use crate::format::block::Kind;
use crate::store::testing::{append, file, noise, open, page, writer};

struct Fixture {
    control: Control,
    snapshot: Snapshot,
    checkpoint: Snapshot,
    _dir: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut w = writer(&store);
    append(&mut w, Kind::Segment, &[b"one"]).unwrap();
    let (root, bytes) = page(&[file("a", b"one")]);
    append(&mut w, Kind::Pages, &[&bytes]).unwrap();
    let unfinished = Snapshot {
        root: root.0.to_vec(),
        job_id: 8,
        incomplete: true,
        ..Snapshot::default()
    };
    let whole = Snapshot {
        job_id: 7,
        number: 1,
        incomplete: false,
        pool: "main".into(),
        ..unfinished.clone()
    };
    w.snapshot(&unfinished.to_bytes()).unwrap();
    w.snapshot(&whole.to_bytes()).unwrap();
    w.close();
    let installation = Installation::new().unwrap();
    let credentials = installation.daemon(Role::Storage).unwrap();
    let (sender, _client) = ControlClient::new(credentials, vec![]);
    let me = Identity {
        role: Role::Storage,
        id: uuid::Uuid::nil(),
    };
    let authority = Arc::new(Authority::open(&dir.path().join("state"), me).unwrap());
    authority.learn(Term(4), &[1; 32]).unwrap();
    let sessions = Sessions::with_linger(store, Arc::new(|_| {}), Duration::from_secs(1));
    let config = Config {
        name: "vault1".into(),
        listen: vec![],
        addresses: vec![],
        director: vec![],
        pki: dir.path().join("pki"),
        state: dir.path().join("state"),
        volumes: dir.path().join("volumes"),
        max_volume_bytes: 1 << 30,
    };
    let control = Control::new(
        sessions,
        authority,
        sender,
        (&config, vec!["vault:1".into()]),
    );
    Fixture {
        control,
        snapshot: whole,
        checkpoint: unfinished,
        _dir: dir,
    }
}

async fn ask(control: &Control, body: Body) -> Body {
    let envelope = Envelope {
        request: 1,
        reply_to: 0,
        body: Some(body),
    };
    match control.receive(envelope).await {
        Answer::Now(body) => body,
        Answer::Later(body) => body.await,
        Answer::None => panic!("no answer"),
    }
}

fn code_of(body: Body) -> String {
    match body {
        Body::Fault(fault) => fault.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_became_of_a_run() {
    let f = fixture();
    for (job_id, state) in [(7, "committed"), (8, "checkpoint"), (9, "none")] {
        let Body::SessionState(got) =
            ask(&f.control, Body::SessionQuery(SessionQuery { job_id })).await
        else {
            panic!("no state")
        };
        assert_eq!(got.state, state);
        let snapshot = if job_id == 7 {
            f.snapshot.to_bytes()
        } else {
            vec![]
        };
        assert_eq!(got.snapshot, snapshot);
        let checkpoint = if job_id == 8 {
            f.checkpoint.root.clone()
        } else {
            vec![]
        };
        assert_eq!(got.checkpoint, checkpoint);
    }
}

#[tokio::test]
async fn pages_come_in_order_and_absent_ones_are_empty() {
    let f = fixture();
    let request = PageRequest {
        pages: vec![vec![9; 32], f.snapshot.root.clone()],
    };
    let Body::PageReply(reply) = ask(&f.control, Body::PageRequest(request)).await else {
        panic!("no pages")
    };
    assert!(reply.pages[0].is_empty());
    assert_eq!(PageId::of(&reply.pages[1]).0.to_vec(), f.snapshot.root);
    for pages in [vec![], vec![vec![9; 32]; 257], vec![vec![9; 31]]] {
        assert_eq!(
            code_of(ask(&f.control, Body::PageRequest(PageRequest { pages })).await),
            code::MALFORMED
        );
    }
}

#[tokio::test]
async fn a_reply_with_pages_holds_at_most_three_mebibytes() {
    let f = fixture();
    let store = f.control.store().clone();
    let mut w = writer(&store);
    let mut pages = Vec::new();
    for n in 0..8u64 {
        // A page of one entry with a long unknown attribute; not a real one, but of its length.
        let mut entry = file("x", b"");
        entry.unknown = vec![(5000, noise(n, 60_000))];
        let many: Vec<_> = (0..10)
            .map(|i| common::object::entry::Entry {
                name: format!("{i}").into(),
                ..entry.clone()
            })
            .collect();
        let (id, bytes) = page(&many);
        append(&mut w, Kind::Pages, &[&bytes]).unwrap();
        pages.push(id.0.to_vec());
    }
    w.close();
    let Body::PageReply(reply) = ask(&f.control, Body::PageRequest(PageRequest { pages })).await
    else {
        panic!("no pages")
    };
    let bytes: usize = reply.pages.iter().map(Bytes::len).sum();
    assert!(
        (1..8).contains(&reply.pages.len()) && bytes <= 3 << 20,
        "{bytes}"
    );
}

#[tokio::test]
async fn notes_need_a_current_term_and_a_snapshot_and_outlive_a_restart() {
    let f = fixture();
    let order = |what: &str, term, snapshot: Vec<u8>| {
        let what = what.to_owned();
        Body::Note(NoteOrder {
            snapshot,
            what,
            term,
            ..NoteOrder::default()
        })
    };
    let id = f.snapshot.id().0.to_vec();
    assert_eq!(
        code_of(ask(&f.control, order("release", 3, id.clone())).await),
        code::REFUSED
    );
    assert_eq!(
        code_of(ask(&f.control, order("release", 4, vec![7; 32])).await),
        code::NOT_FOUND
    );
    assert_eq!(
        code_of(ask(&f.control, order("burn", 4, id.clone())).await),
        code::UNKNOWN
    );
    let from_start = || Body::SnapshotRequest(SnapshotRequest { from: 0 });
    let Body::SnapshotReply(before) = ask(&f.control, from_start()).await else {
        panic!("no snapshots")
    };
    assert_eq!(
        (before.snapshots, before.next),
        (vec![f.snapshot.to_bytes()], 0)
    );
    assert!(matches!(
        ask(&f.control, order("release", 4, id.clone())).await,
        Body::Done(_)
    ));
    let Body::SnapshotReply(after) = ask(&f.control, from_start()).await else {
        panic!("no snapshots")
    };
    assert_eq!(
        (after.snapshots.len(), after.released),
        (0, vec![id.clone()])
    );

    let dir = f._dir;
    drop(f.control);
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    // The pacer's thread may hold a file, never the lock of the folder: that went with the store.
    let store = open(dir.path());
    assert_eq!(store.snapshots().part(0).released.len(), 1);
    assert_eq!(
        store.snapshots().next_note(),
        2,
        "note numbers are never used twice"
    );
}

#[tokio::test]
async fn reports_cancels_and_unknown_orders() {
    let f = fixture();
    let Body::StorageReport(report) = ask(&f.control, Body::ReportRequest(Done {})).await else {
        panic!("no report")
    };
    assert_eq!(report.volumes.len(), 2);
    assert_eq!(report.volumes[0].status, "append");
    assert!(report.chunks == 2 && report.total_bytes > 0);
    assert!(matches!(
        ask(&f.control, Body::Cancel(CancelOrder::default())).await,
        Body::Done(_)
    ));
    let unknown = ask(&f.control, Body::SessionState(SessionState::default())).await;
    assert_eq!(code_of(unknown), code::UNKNOWN);
    let hello = f.control.hello();
    assert_eq!(hello.addresses, ["vault:1"]);
    assert_eq!(hello.own_folders.len(), 3);
}
