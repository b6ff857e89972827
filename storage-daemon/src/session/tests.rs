//! Sessions over real TLS, as a client sees them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use common::ids::{ChunkId, JobId, PageId, Role, SnapshotId};
use common::object::entry::Content;
use common::object::link::ChunkRef;
use common::object::list::ListBuilder;
use common::object::page_builder::BuiltPage;
use common::object::segment::Codec;
use common::protocol::data::{Ask, Checkpoint, Load, Open};
use common::protocol::fault::{Fault, code};
use common::protocol::frame::{FrameType, MAJOR};
use common::protocol::orders::Selection;
use common::protocol::ticket::Ticket;

use super::testing::{Client, Daemon, start, start_with, until};
use crate::store::testing::{self, noise};

fn root(snapshot: &common::object::snapshot::Snapshot) -> PageId {
    snapshot.root_page().unwrap()
}

fn whats(daemon: &Daemon) -> Vec<String> {
    daemon
        .events
        .lock()
        .iter()
        .map(|e| e.what.clone())
        .collect()
}

#[tokio::test]
async fn a_tree_is_backed_up_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let big = noise(1, 700_000);
    let files: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("etc/hosts", b"localhost"),
        ("etc/twin", b"localhost"),
        ("home/big", &big),
    ];
    let ticket = daemon.ticket(7);
    let mut client = daemon.open(&ticket, 0).await;
    assert!(!client.opened.base_present && client.opened.window_bytes > 0);
    let none = client.ask(vec![ChunkId::of(b"localhost")]).await;
    assert!(!none.has(0));
    let root = client.send_tree(files).await;
    let snapshot = client.commit(root).await;
    assert_eq!(
        client.acked, client.sequence,
        "everything was acknowledged before the receipt"
    );
    let counts = snapshot.counts.unwrap();
    assert!(counts.stored_bytes > 700_000);
    assert_eq!(
        (snapshot.job_id, snapshot.number, snapshot.client.as_str()),
        (7, 7, "web01")
    );
    assert_eq!(snapshot.volumes, ["data-000001", "pages-000002"]);
    drop(client);
    until("the session closes", || {
        whats(&daemon).contains(&"closed".to_owned())
    })
    .await;
    assert_eq!(whats(&daemon), ["opened", "committed", "closed"]);
    assert_eq!(daemon.events.lock()[2].fault, None);

    let restored = daemon.restore(root, Selection::default(), "content").await;
    for (path, content) in files {
        assert_eq!(restored.files[&format!("/{path}")], *content, "{path}");
    }
    assert_eq!(restored.directories, ["/etc", "/home"]);
    assert!(restored.is_balanced() && restored.lost.is_empty() && restored.implied.is_empty());
    assert_eq!((restored.end.entries, restored.end.lost), (6, 0));
    assert_eq!(restored.end.bytes, 700_018);
    assert_eq!(
        restored.deliveries, 2,
        "twins share one block, read and sent once"
    );
}

#[tokio::test]
async fn an_incremental_reads_the_pages_of_its_base_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let first = daemon
        .back_up(&daemon.ticket(1), &[("etc/hosts", b"localhost")])
        .await;
    let foreign = daemon
        .back_up(&daemon.ticket(2), &[("secret/key", b"s3cret")])
        .await;
    let base = Ticket {
        base: first.id().0.to_vec(),
        roots: vec![first.root.clone()],
        ..daemon.ticket(3)
    };
    let mut client = daemon.open(&base, 0).await;
    assert!(client.opened.base_present && !client.opened.resume_present);
    assert_eq!(client.opened.base_scanned_ms, 1_700_000_000_123);
    let ask = |id: PageId| {
        Ask {
            batch: 4,
            ids: vec![id.into()],
        }
        .encode()
    };
    client
        .connection
        .writer
        .write(FrameType::PageGet, 0, &[&ask(root(&first))])
        .await
        .unwrap();
    client.connection.writer.flush().await.unwrap();
    let frame = client.read().await;
    assert_eq!(frame.frame_type(), Some(FrameType::PageData));
    let load = Load::decode(frame.body).unwrap();
    assert_eq!(
        (load.sequence, load.segment.slots[0].id),
        (4, root(&first).into())
    );
    load.segment.open(&mut Vec::new()).unwrap();
    client
        .connection
        .writer
        .write(FrameType::PageGet, 0, &[&ask(root(&foreign))])
        .await
        .unwrap();
    client.connection.writer.flush().await.unwrap();
    assert_eq!(client.fault().await.code, code::REFUSED);
}

#[tokio::test]
async fn false_content_and_dangling_pages_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let mut liar = daemon.open(&daemon.ticket(1), 0).await;
    let mut segment = testing::segment(&[b"good"]);
    segment.slots[0].id = ChunkId::of(b"victim");
    liar.send_load(
        FrameType::Segment,
        &Load {
            sequence: 1,
            segment,
        },
    )
    .await;
    assert_eq!(liar.fault().await.code, code::CORRUPT);
    assert!(
        daemon
            .store
            .locate(&ChunkId::of(b"victim"))
            .unwrap()
            .is_none()
    );

    let mut client = daemon.open(&daemon.ticket(2), 0).await;
    let (_, page) = testing::page(&[testing::file("a", b"never sent")]);
    client.load(FrameType::Pages, &[&page]).await;
    let fault = client.fault().await;
    assert_eq!(fault.code, code::MISSING);
    assert!(
        fault.text.contains(&ChunkId::of(b"never sent").to_string()),
        "{}",
        fault.text
    );

    let mut bomb = daemon.open(&daemon.ticket(3), 0).await;
    let mut segment = testing::segment(&[&vec![0; 1 << 20]]);
    segment.slots[0].len = 9;
    segment.codec = Codec::Zstd;
    bomb.send_load(
        FrameType::Segment,
        &Load {
            sequence: 1,
            segment,
        },
    )
    .await;
    assert_eq!(bomb.fault().await.code, code::CORRUPT);

    let mut jumper = daemon.open(&daemon.ticket(4), 0).await;
    jumper
        .send_load(
            FrameType::Segment,
            &Load {
                sequence: 2,
                segment: testing::segment(&[b"x"]),
            },
        )
        .await;
    assert_eq!(jumper.fault().await.code, code::OUT_OF_ORDER);
}

#[tokio::test]
async fn tickets_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let good = daemon.ticket(1);
    for (bad, expected) in [
        (
            Ticket {
                term: 2,
                ..good.clone()
            },
            code::TICKET,
        ),
        (
            Ticket {
                expires_ms: 5,
                ..good.clone()
            },
            code::TICKET,
        ),
        (
            Ticket {
                client_id: vec![9; 16],
                ..good.clone()
            },
            code::TICKET,
        ),
        (
            Ticket {
                storage_id: vec![9; 16],
                ..good.clone()
            },
            code::TICKET,
        ),
        (
            Ticket {
                what: "restore".into(),
                ..good.clone()
            },
            code::REFUSED,
        ),
    ] {
        let mut connection = daemon.dial().await;
        let open = Open {
            major: MAJOR,
            minor: 0,
            ticket: daemon.sign(&bad),
            connection: 0,
        };
        connection
            .writer
            .send_message(FrameType::Open, &open)
            .await
            .unwrap();
        let fault: Fault = connection
            .reader
            .read()
            .await
            .unwrap()
            .unwrap()
            .message()
            .unwrap();
        assert_eq!(fault.code, expected, "{}", fault.text);
    }
    let mut signed = daemon.sign(&good);
    let last = signed.len() - 1;
    signed[last] ^= 1;
    let mut connection = daemon.dial().await;
    let open = Open {
        major: MAJOR,
        minor: 0,
        ticket: signed,
        connection: 0,
    };
    connection
        .writer
        .send_message(FrameType::Open, &open)
        .await
        .unwrap();
    let fault: Fault = connection
        .reader
        .read()
        .await
        .unwrap()
        .unwrap()
        .message()
        .unwrap();
    assert!(fault.text.contains("not signed"), "{}", fault.text);
    assert!(daemon.installation.daemon(Role::File).is_ok() && whats(&daemon).is_empty());
}

#[tokio::test]
async fn a_lost_connection_is_taken_up_again_and_a_receipt_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let ticket = daemon.ticket(5);
    let mut first = daemon.open(&ticket, 0).await;
    first.load(FrameType::Segment, &[b"before the cut"]).await;
    first.ask(vec![ChunkId::of(b"x")]).await;
    let session = first.opened.session;
    until("the load arrives", || {
        let pending = daemon
            .sessions
            .join(ticket.clone(), &daemon.sign(&ticket))
            .unwrap()
            .pending;
        pending.read().contains_key(&ChunkId::of(b"before the cut"))
    })
    .await;
    drop(first);
    let mut second = daemon.open(&ticket, 0).await;
    assert_eq!(second.opened.session, session);
    assert!(
        second
            .ask(vec![ChunkId::of(b"before the cut")])
            .await
            .has(0),
        "its own pending content"
    );
    let root = second.send_tree(&[("a", b"before the cut")]).await;
    let snapshot = second.commit(root).await;
    drop(second);
    until("the session closes", || {
        whats(&daemon).contains(&"closed".to_owned())
    })
    .await;
    // The receipt was lost: the client opens again and says Commit again.
    let mut third = daemon.open(&ticket, 0).await;
    assert_eq!(third.commit(root).await, snapshot);
    assert_eq!(daemon.store.snapshots().part(0).snapshots.len(), 1);
    third.load(FrameType::Segment, &[b"more"]).await;
    assert_eq!(third.fault().await.code, code::OUT_OF_ORDER);
}

#[tokio::test]
async fn a_checkpoint_is_durable_and_another_session_of_the_run_goes_on_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start_with(
        testing::open(dir.path()),
        dir.path(),
        Duration::from_millis(20),
    )
    .await;
    let ticket = daemon.ticket(6);
    let mut client = daemon.open(&ticket, 0).await;
    let root = client.send_tree(&[("etc/a", b"done")]).await;
    client
        .message(
            FrameType::Checkpoint,
            &Checkpoint {
                root: root.0.to_vec(),
                counts: None,
            },
        )
        .await;
    assert_eq!(
        client.read().await.frame_type(),
        Some(FrameType::Checkpointed)
    );
    client
        .load(FrameType::Segment, &[b"after the checkpoint"])
        .await;
    client.ask(vec![ChunkId::of(b"x")]).await;
    drop(client);
    until("nobody came back", || {
        whats(&daemon).contains(&"closed".to_owned())
    })
    .await;
    assert_eq!(whats(&daemon), ["opened", "checkpoint", "closed"]);
    let stored = daemon.store.snapshots().checkpoint(JobId(6)).unwrap();
    assert_eq!(
        (
            stored.snapshot.root,
            stored.snapshot.incomplete,
            stored.snapshot.number
        ),
        (root.0.to_vec(), true, 0)
    );
    assert!(
        daemon.store.snapshots().part(0).snapshots.is_empty(),
        "an unfinished run is outside the series"
    );

    let again = Ticket {
        roots: vec![root.0.to_vec()],
        expires_ms: ticket.expires_ms + 1,
        ..ticket
    };
    let mut client = daemon.open(&again, 0).await;
    assert!(client.opened.resume_present && !client.opened.base_present);
    assert!(
        client
            .ask(vec![ChunkId::of(b"after the checkpoint")])
            .await
            .has(0),
        "what was whole was kept"
    );
    client.commit(root).await;
    assert!(daemon.store.snapshots().checkpoint(JobId(6)).is_none());
}

#[tokio::test]
async fn a_new_session_of_a_run_replaces_a_dead_one() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let ticket = daemon.ticket(6);
    let mut dead = daemon.open(&ticket, 0).await;
    let mut new = daemon
        .open(
            &Ticket {
                expires_ms: ticket.expires_ms + 1,
                ..ticket
            },
            0,
        )
        .await;
    assert_eq!(dead.fault().await.code, code::CANCELED);
    let root = new.send_tree(&[("a", b"1")]).await;
    new.commit(root).await;
}

#[tokio::test]
async fn several_connections_share_a_session() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let ticket = daemon.ticket(6);
    let mut zero = daemon.open(&ticket, 0).await;
    let mut one = daemon.open(&ticket, 1).await;
    assert_eq!(zero.opened.session, one.opened.session);
    one.load(FrameType::Segment, &[b"by one"]).await;
    wait_for_ack(&mut one).await;
    let (root, page) = testing::page(&[testing::file("a", b"by one")]);
    zero.load(FrameType::Pages, &[&page]).await;
    zero.commit(root).await;
    one.message(FrameType::Checkpoint, &Checkpoint::default())
        .await;
    assert_eq!(one.fault().await.code, code::OUT_OF_ORDER);
}

async fn wait_for_ack(client: &mut Client) {
    // Asks are answered at once; an Ack of the load comes in its own time.
    while client.acked < client.sequence {
        client.ask(vec![ChunkId::of(b"x")]).await;
    }
}

#[tokio::test]
async fn a_selection_brings_what_it_says_and_the_way_there() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let snapshot = daemon
        .back_up(
            &daemon.ticket(1),
            &[
                ("etc/a.conf", b"1"),
                ("etc/b.txt", b"2"),
                ("var/c.conf", b"3"),
                ("top", b"4"),
            ],
        )
        .await;
    let root = root(&snapshot);
    let path = Selection {
        paths: vec![b"/etc/b.txt".to_vec()],
        ..Selection::default()
    };
    let got = daemon.restore(root, path, "content").await;
    assert_eq!(got.files.keys().collect::<Vec<_>>(), ["/etc/b.txt"]);
    assert_eq!(
        (got.implied, got.directories.len()),
        (vec!["/etc".to_owned()], 0)
    );

    let glob = Selection {
        globs: vec!["/**/*.conf".into()],
        excluded: vec![b"/var".to_vec()],
        ..Selection::default()
    };
    let got = daemon.restore(root, glob, "content").await;
    assert_eq!(
        got.files.into_iter().collect::<Vec<_>>(),
        [("/etc/a.conf".to_owned(), b"1".to_vec())]
    );
    assert_eq!(got.implied, ["/etc"]);

    let all = daemon.restore(root, Selection::default(), "names").await;
    assert_eq!((all.files.len(), all.deliveries, all.end.bytes), (4, 0, 0));
    let all = daemon.restore(root, Selection::default(), "chunks").await;
    assert_eq!((all.chunk_names, all.deliveries), (4, 0));
}

#[tokio::test]
async fn saved_by_brings_only_what_differs_from_another_tree_of_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let one = daemon
        .back_up(
            &daemon.ticket(1),
            &[
                ("etc/a", b"1"),
                ("etc/b", b"2"),
                ("same/x", b"s"),
                ("gone", b"g"),
            ],
        )
        .await;
    let two = daemon
        .back_up(
            &daemon.ticket(2),
            &[
                ("etc/a", b"1"),
                ("etc/b", b"new"),
                ("same/x", b"s"),
                ("new/y", b"y"),
            ],
        )
        .await;
    let selection = |root: &[u8]| Selection {
        not_in_root: root.to_vec(),
        ..Selection::default()
    };
    let got = daemon
        .restore(root(&two), selection(&one.root), "content")
        .await;
    assert_eq!(got.files.keys().collect::<Vec<_>>(), ["/etc/b", "/new/y"]);
    assert_eq!(
        (got.implied, got.directories),
        (vec!["/etc".to_owned()], vec!["/new".to_owned()])
    );
    assert_eq!(got.files["/etc/b"], b"new");
    let ticket = Ticket {
        what: "restore".into(),
        roots: vec![two.root.clone()],
        ..daemon.ticket(9)
    };
    let foreign = daemon
        .restore_with(&ticket, selection(&[7; 32]), "content")
        .await;
    assert_eq!(foreign.unwrap_err().code, code::REFUSED);
}

#[tokio::test]
async fn damage_is_told_with_its_place_and_everything_else_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let (bad, good) = (noise(1, 50_000), noise(2, 50_000));
    let snapshot = daemon
        .back_up(&daemon.ticket(1), &[("d/bad", &bad), ("d/good", &good)])
        .await;
    let volume = dir.path().join("volumes/data-000001.hfv");
    let mut bytes = std::fs::read(&volume).unwrap();
    bytes[4096 + 20_000] ^= 1;
    std::fs::write(&volume, bytes).unwrap();
    let got = daemon
        .restore(root(&snapshot), Selection::default(), "content")
        .await;
    assert_eq!(got.files["/d/good"], good);
    let [(path, reason)] = got.lost.as_slice() else {
        panic!("{:?}", got.lost)
    };
    assert_eq!(path, "/d/bad");
    assert!(
        reason.contains("data-000001") && reason.contains("4096"),
        "{reason}"
    );
    assert_eq!(got.end.lost, 1);
    let mut next = daemon.open(&daemon.ticket(2), 0).await;
    assert!(
        !next.ask(vec![ChunkId::of(&bad)]).await.has(0),
        "damaged = absent: it is stored anew"
    );
}

#[tokio::test]
async fn a_base_that_reaches_damage_is_no_base_until_everything_is_stored_anew() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let files: &[(&str, &[u8])] = &[("d/bad", &noise(1, 50_000)), ("d/good", &noise(2, 50_000))];
    let first = daemon.back_up(&daemon.ticket(1), files).await;
    let other = daemon.back_up(&daemon.ticket(2), &files[1..]).await;
    let volume = dir.path().join("volumes/data-000001.hfv");
    let mut bytes = std::fs::read(&volume).unwrap();
    bytes[4096 + 20_000] ^= 1;
    std::fs::write(&volume, bytes).unwrap();
    let got = daemon
        .restore(root(&first), Selection::default(), "content")
        .await;
    assert_eq!(got.lost.len(), 1);
    let on = |number, base: &common::object::snapshot::Snapshot| Ticket {
        base: base.id().0.to_vec(),
        roots: vec![base.root.clone()],
        ..daemon.ticket(number)
    };
    let unharmed = daemon.open(&on(3, &other), 0).await;
    assert!(unharmed.opened.base_present, "it does not reach the damage");
    let mut client = daemon.open(&on(4, &first), 0).await;
    assert!(!client.opened.base_present);
    let root_again = client.send_tree(files).await;
    let healed = client.commit(root_again).await;
    let got = daemon
        .restore(root(&healed), Selection::default(), "content")
        .await;
    assert!(got.lost.is_empty(), "{:?}", got.lost);
    let next = daemon.open(&on(5, &first), 0).await;
    assert!(
        next.opened.base_present,
        "what it names is stored anew: it is whole again"
    );
}

#[tokio::test]
async fn a_restore_outside_its_ticket_or_of_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let ticket = |roots| Ticket {
        what: "restore".into(),
        roots,
        ..daemon.ticket(9)
    };
    for (roots, expected) in [
        (vec![vec![7; 32]], code::NOT_FOUND),
        (vec![], code::TICKET),
        (vec![vec![7; 3]], code::TICKET),
    ] {
        let fault = daemon
            .restore_with(&ticket(roots), Selection::default(), "content")
            .await
            .unwrap_err();
        assert_eq!(fault.code, expected);
    }
}

#[tokio::test]
async fn stopping_keeps_what_is_whole_and_tells_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let mut client = daemon.open(&daemon.ticket(1), 0).await;
    client.load(FrameType::Segment, &[b"whole"]).await;
    wait_for_ack(&mut client).await;
    let sessions = daemon.sessions.clone();
    let stopped = tokio::task::spawn_blocking(move || sessions.stop(Duration::from_secs(10)));
    let fault = client.fault().await;
    assert!(fault.retry && fault.text.contains("stopping"));
    assert!(stopped.await.unwrap());
    assert!(
        daemon
            .store
            .locate(&ChunkId::of(b"whole"))
            .unwrap()
            .is_some()
    );
    assert!(daemon.store.snapshots().get(&SnapshotId([0; 32])).is_none());
}

#[tokio::test]
async fn a_file_of_many_chunks_is_streamed_over_several_windows() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = start(dir.path()).await;
    let mut client = daemon.open(&daemon.ticket(1), 0).await;
    let chunks: Vec<Vec<u8>> = (0..70_000u32).map(|n| n.to_le_bytes().to_vec()).collect();
    let mut list = ListBuilder::new();
    let mut pages = Vec::new();
    let mut emit = |built: BuiltPage| {
        pages.push(built.bytes);
        Ok::<_, std::convert::Infallible>(())
    };
    for some in chunks.chunks(14_000) {
        let pieces: Vec<&[u8]> = some.iter().map(Vec::as_slice).collect();
        client.load(FrameType::Segment, &pieces).await;
        for piece in some {
            let chunk = ChunkRef {
                id: ChunkId::of(piece),
                len: 4,
            };
            list.push(chunk, &mut emit).unwrap();
        }
    }
    let mut entry = testing::file("huge", b"");
    entry.content = list.finish(&mut emit).unwrap();
    assert!(matches!(entry.content, Content::List(l) if l.bytes == 280_000));
    let (root, top) = testing::page(&[entry]);
    pages.push(top);
    for page in &pages {
        client.load(FrameType::Pages, &[page]).await;
    }
    client.commit(root).await;
    let got = daemon.restore(root, Selection::default(), "content").await;
    assert!(got.windows >= 2, "{}", got.windows);
    assert_eq!(got.files["/huge"], chunks.concat());
    assert_eq!(
        (got.end.entries, got.end.bytes, got.end.lost),
        (1, 280_000, 0)
    );
}
