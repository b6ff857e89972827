//! Stored and wire formats are held still: one file of bytes per object and version, compared byte for byte and decoded.
//!
//! A difference here is a new format version, never an edit: old volumes and old daemons exist. `HOLDFAST_BLESS=1`
//! writes files that do not exist yet; it never overwrites one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::path::PathBuf;

use common::ids::{ChunkId, PageId};
use common::object::attribute::{Cut, Device, Extent, FileTime, LinkGroup, Stat};
use common::object::entry::{Content, Entry, Kind};
use common::object::link::{ChunkRef, Link, ListRef};
use common::object::page::{IndexEntry, Page, PageKind, encode_index, encode_leaf, encode_list};
use common::object::segment::{Codec, Segment, Slot};
use common::object::snapshot::{Counts, Note, Snapshot};
use common::protocol::control::{Body, Envelope, Hello, SessionEvent};
use common::protocol::data::{Ack, Answer, Ask, Load};
use common::protocol::frame::{FrameType, Header};
use common::protocol::restore::{Delivery, Item, Items, Placement};
use common::protocol::ticket::Ticket;
use prost::Message;

fn golden(name: &str, bytes: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("HOLDFAST_BLESS").is_some() && !path.exists() {
        std::fs::write(&path, bytes).unwrap();
    }
    let held = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(
        held == bytes,
        "{name} encodes differently than released: {} bytes held, {} now",
        held.len(),
        bytes.len()
    );
}

fn chunk(n: u8) -> ChunkRef {
    ChunkRef {
        id: ChunkId([n; 32]),
        len: u32::from(n) * 1000,
    }
}

fn entries() -> Vec<Entry> {
    let time = FileTime {
        secs: 1_700_000_000,
        nanos: 123_456_789,
    };
    let stat = Stat {
        mode: 0o4755,
        uid: 1000,
        gid: 4_000_000_000,
        size: 3000,
        mtime: time,
        ctime: time,
        atime: FileTime { secs: -1, nanos: 5 },
        ino: 77,
        nlink: 2,
    };
    let mut file = Entry::new(b"a file \xff\n".to_vec(), Kind::File, stat);
    file.birth = Some(time);
    file.owner = "web".into();
    file.group = "www-data".into();
    file.flags = 0x40;
    file.link_group = Some(LinkGroup {
        fs: 0xdead_beef_0000_0001,
        ino: 77,
    });
    file.xattrs = vec![
        (b"security.capability".to_vec(), vec![1, 0, 0, 2]),
        (b"user.note".to_vec(), b"hello".to_vec()),
    ];
    file.extents = Some(vec![
        Extent {
            offset: 4096,
            len: 1000,
        },
        Extent {
            offset: 1 << 40,
            len: 2000,
        },
    ]);
    file.marks = 1;
    file.cut = Some(Cut {
        version: 1,
        avg_log2: 18,
    });
    file.unknown = vec![(900, b"from the future".to_vec())];
    file.content = Content::Chunks(vec![chunk(1), chunk(2)]);
    let mut dir = Entry::new(
        b"dir".to_vec(),
        Kind::Directory,
        Stat {
            mode: 0o1777,
            nlink: 1,
            ..stat
        },
    );
    dir.content = Content::Directory(PageId([9; 32]));
    let mut dev = Entry::new(b"tty".to_vec(), Kind::CharDevice, Stat::default());
    dev.device = Some(Device {
        major: 4,
        minor: 64,
    });
    let mut big = Entry::new(
        b"vm.img".to_vec(),
        Kind::File,
        Stat {
            size: 1 << 40,
            ..Stat::default()
        },
    );
    big.attribute_chunks = vec![(9, chunk(3))];
    big.content = Content::List(ListRef {
        page: PageId([8; 32]),
        bytes: 1 << 40,
        chunks: 1 << 18,
    });
    let mut link = Entry::new(b"www".to_vec(), Kind::Symlink, Stat::default());
    link.target = Some(b"../srv/www".to_vec());
    vec![file, dir, dev, big, link]
}

#[test]
fn pages() {
    let leaf = encode_leaf(&entries());
    golden("page-leaf.v1.bin", &leaf);
    assert_eq!(Page::decode(&leaf).unwrap(), Page::Leaf(entries()));
    let lines = vec![
        IndexEntry {
            first_name: b"a".to_vec(),
            page: PageId([1; 32]),
        },
        IndexEntry {
            first_name: b"m".to_vec(),
            page: PageId([2; 32]),
        },
    ];
    golden("page-index.v1.bin", &encode_index(&lines));
    golden(
        "page-list.v1.bin",
        &encode_list(
            PageKind::List,
            &[Link::Chunk(chunk(1)), Link::Chunk(chunk(2))],
        ),
    );
    let list = ListRef {
        page: PageId([3; 32]),
        bytes: 5000,
        chunks: 2,
    };
    golden(
        "page-list-index.v1.bin",
        &encode_list(PageKind::ListIndex, &[Link::List(list), Link::List(list)]),
    );
}

#[test]
fn snapshots_and_notes() {
    let snapshot = Snapshot {
        root: vec![1; 32],
        job_id: 17,
        job: "nightly".into(),
        client_id: vec![2; 16],
        client: "web01".into(),
        series: vec![3; 16],
        number: 4,
        level: "incremental".into(),
        level_reason: "asked for".into(),
        fileset: "include = [\"/home\"]".into(),
        started_ms: 1_700_000_000_000,
        finished_ms: 1_700_000_060_000,
        counts: Some(Counts {
            entries: 9,
            files: 5,
            stored_bytes: 12345,
            unsaved: 1,
            ..Counts::default()
        }),
        base: vec![4; 32],
        pool: "main".into(),
        volumes: vec!["main-data-0001".into()],
        keep_until_ms: 1_800_000_000_000,
        root_entry: Vec::new(),
        incomplete: false,
        system: "linux".into(),
        host: "web01.example".into(),
        scanned_ms: 0,
    };
    golden("snapshot.v1.bin", &snapshot.to_bytes());
    // A field that came later, and is absent when it is not known, takes nothing from what was written before.
    let later = Snapshot {
        scanned_ms: 1_700_000_001_000,
        ..snapshot.clone()
    };
    for snapshot in [snapshot, later] {
        let read = Snapshot::from_bytes(&snapshot.to_bytes()).unwrap();
        assert_eq!(read, snapshot);
    }
    let note = Note {
        snapshot: vec![5; 32],
        sequence: 6,
        at_ms: 7,
        what: "release".into(),
        until_ms: 0,
        reason: "kept until".into(),
    };
    golden("note.v1.bin", &note.to_bytes());
    assert_eq!(Note::from_bytes(&note.to_bytes()).unwrap(), note);
}

fn segment() -> Segment {
    let slot = |n: u8| Slot {
        id: ChunkId([n; 32]),
        len: 3,
    };
    Segment {
        codec: Codec::Stored,
        slots: vec![slot(1), slot(2)],
        payload: b"abcdef".as_slice().into(),
    }
}

#[test]
fn data_messages() {
    golden(
        "frame-header.v1.bin",
        &Header {
            body: 300,
            frame_type: FrameType::Segment as u8,
            stream: 2,
        }
        .encode(),
    );
    golden(
        "ask.v1.bin",
        &Ask {
            batch: 7,
            ids: vec![ChunkId([1; 32]), ChunkId([2; 32])],
        }
        .encode(),
    );
    golden(
        "answer.v1.bin",
        &Answer {
            batch: 7,
            have: vec![0b10],
        }
        .encode(),
    );
    golden(
        "ack.v1.bin",
        &Ack {
            sequence: 8,
            stored_bytes: 4096,
        }
        .encode(),
    );
    let load = Load {
        sequence: 3,
        segment: segment(),
    };
    let bytes = [load.encode_head(), load.segment.payload.to_vec()].concat();
    golden("load.v1.bin", &bytes);
    assert_eq!(Load::decode(bytes.into()).unwrap(), load);
}

#[test]
fn restore_messages() {
    let entry = Box::new(entries().remove(0));
    let items = Items(vec![
        Item::Entry {
            number: 2,
            parent: 1,
            entry,
            implied: true,
        },
        Item::DirectoryEnd { number: 1 },
    ]);
    golden("items.v1.bin", &items.encode());
    assert_eq!(Items::decode(&items.encode()).unwrap(), items);
    let delivery = Delivery {
        segment: segment(),
        placements: vec![Placement {
            slot: 1,
            number: 2,
            offset: 4096,
        }],
    };
    let bytes = [delivery.encode_head(), delivery.segment.payload.to_vec()].concat();
    golden("delivery.v1.bin", &bytes);
    assert_eq!(Delivery::decode(bytes.into()).unwrap(), delivery);
}

#[test]
fn control_messages() {
    let hello = Hello {
        major: 1,
        minor: 0,
        version: "0.1.0".into(),
        name: "web01".into(),
        host: "web01".into(),
        system: "linux".into(),
        now_ms: 5,
        privileged: true,
        running: vec![17],
        ..Hello::default()
    };
    golden(
        "hello.v1.bin",
        &Envelope {
            request: 1,
            reply_to: 0,
            body: Some(Body::Hello(hello)),
        }
        .encode_to_vec(),
    );
    let event = SessionEvent {
        job_id: 17,
        what: "checkpoint".into(),
        root: vec![1; 32],
        ..SessionEvent::default()
    };
    golden(
        "session-event.v1.bin",
        &Envelope {
            request: 0,
            reply_to: 0,
            body: Some(Body::Session(event)),
        }
        .encode_to_vec(),
    );
    let ticket = Ticket {
        what: "backup".into(),
        job_id: 17,
        term: 2,
        client_id: vec![1; 16],
        storage_id: vec![2; 16],
        expires_ms: 9,
        pool: "main".into(),
        number: 4,
        ..Ticket::default()
    };
    golden("ticket.v1.bin", &ticket.encode_to_vec());
}

#[test]
fn unknown_fields_and_bodies_are_survived() {
    let mut bytes = Envelope {
        request: 3,
        reply_to: 0,
        body: None,
    }
    .encode_to_vec();
    bytes.extend([0xfa, 0x3f, 1, 0]); // field 1023, length-delimited: a body of a later version
    let envelope = Envelope::decode(bytes.as_slice()).unwrap();
    assert_eq!((envelope.request, envelope.body), (3, None));
}
