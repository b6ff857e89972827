//! Streams and neighbours that want files written outside of the target folder. None ever are.

use std::collections::VecDeque;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::ids::ChunkId;
use common::object::attribute::LinkGroup;
use common::object::entry::{Content, Kind};
use common::object::link::ChunkRef;
use common::object::segment::{Codec, Segment, Slot};
use common::protocol::orders::Replace;
use common::protocol::restore::{Delivery, Item, Items, Placement, Window};
use proptest::prelude::*;

use super::test_server::{Node, Server, Stream};
use super::tests::{context, no_temporaries, order, restore_stream};
use super::*;

/// A folder that must stay as it is.
struct Outside(tempfile::TempDir);

impl Outside {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("victim"), b"mine").unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn assert_untouched(&self) {
        let mut names: Vec<_> = std::fs::read_dir(self.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["sub", "victim"]);
        assert_eq!(
            std::fs::read_dir(self.path().join("sub")).unwrap().count(),
            0
        );
        assert_eq!(std::fs::read(self.path().join("victim")).unwrap(), b"mine");
        let victim = std::fs::metadata(self.path().join("victim")).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!(victim.nlink(), 1);
        assert_ne!(victim.mtime(), 1_600_000_000);
        assert_ne!(
            std::fs::metadata(self.path().join("sub")).unwrap().mtime(),
            1_600_000_000
        );
    }
}

#[test]
fn a_directory_swapped_for_a_link_while_restoring_leads_nowhere() {
    let (target, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let to = target.path();
    let files = |n: usize| {
        (0..n)
            .map(|i| Node::file(&format!("f{i}"), b"escape"))
            .collect::<Vec<_>>()
    };
    let mut inner = files(4);
    inner.extend([
        Node::link("l", "x"),
        Node::of("p", Kind::Fifo),
        Node::dir("sub", files(3)),
    ]);
    let nodes = [Node::dir("a", vec![Node::dir("b", inner)])];
    std::fs::create_dir_all(to.join("a/b")).unwrap();
    symlink(outside.path(), to.join("evil")).unwrap();
    let (done, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for (place, aside) in [("a", "aside1"), ("a/b", "aside2")] {
            let (done, swaps) = (&done, &swaps);
            scope.spawn(move || {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                let (place, link) = (to.join(place), to.join(format!("link-{aside}")));
                symlink(outside_of(to), &link).unwrap();
                while !done.load(Relaxed) {
                    if renameat_with(CWD, &place, CWD, &link, RenameFlags::EXCHANGE).is_ok() {
                        swaps.fetch_add(1, Relaxed);
                    }
                    std::thread::yield_now();
                }
            });
        }
        let started = Instant::now();
        let mut rounds = 0;
        // Until ten thousand swaps happened under it, at most for some seconds.
        while rounds < 30
            || (swaps.load(Relaxed) < 10_000 && started.elapsed() < Duration::from_secs(8))
        {
            let mut stream = Server {
                window_entries: 2,
                ..Server::default()
            }
            .stream(&nodes);
            let _ = restore_stream(&order(to), &mut stream);
            rounds += 1;
        }
        done.store(true, Relaxed);
    });
    assert!(swaps.load(Relaxed) > 100);
    outside.assert_untouched();
}

/// Where the link `evil` in the target leads.
fn outside_of(to: &Path) -> std::path::PathBuf {
    std::fs::read_link(to.join("evil")).unwrap()
}

#[test]
fn links_of_the_stream_and_of_the_target_are_never_followed() {
    let (target, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    let to = target.path();
    let out = outside.path().to_str().unwrap();
    symlink(out, to.join("old")).unwrap();
    symlink(format!("{out}/victim"), to.join("file")).unwrap();
    std::fs::hard_link(outside.path().join("victim"), to.join("hard")).unwrap();
    let nodes = [
        Node::link("x", out),
        Node::dir(
            "x",
            vec![
                Node::file("through", b"1"),
                Node::dir("sub", vec![Node::file("f", b"2")]),
            ],
        ),
        Node::implied("old", vec![Node::file("through", b"1")]),
        Node::file("file", b"content"),
        Node::file("hard", b"content"),
        Node::file("sub", b"content"),
    ];
    let (outcome, lines) = restore_stream(&order(to), &mut Server::default().stream(&nodes));
    assert_eq!(outcome.status, Status::Error, "{:?}", lines.lock());
    let said = |part: &str| lines.lock().iter().any(|(_, l)| l.contains(part));
    assert!(
        said(
            "old was not restored: something that is not a directory (perhaps a link) stands there"
        ),
        "{:?}",
        lines.lock()
    );
    assert_eq!(std::fs::read(to.join("hard")).unwrap(), b"content");
    outside.assert_untouched();
    no_temporaries(to);
}

#[test]
fn a_name_that_could_leave_its_directory_is_refused() {
    let (target, outside) = (tempfile::tempdir().unwrap(), Outside::new());
    for name in ["..", ".", "a/b", "../escape", "/etc/escape", "", "nul\0"] {
        let entry = Box::new(Node::dir(name, vec![]).entry);
        let items = Items(vec![Item::Entry {
            number: 1,
            parent: 0,
            entry,
            implied: false,
        }]);
        assert!(Items::decode(&items.encode()).is_err(), "{name:?}");
        let messages = VecDeque::from([
            Message::Items(items),
            Message::WindowEnd(Window { number: 1 }),
        ]);
        let (outcome, _) = restore_stream(&order(target.path()), &mut Stream::of(messages));
        assert_eq!(outcome.status, Status::Error, "{name:?}");
    }
    outside.assert_untouched();
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
}

#[test]
fn a_million_nested_directories_do_not_exhaust_the_stack() {
    let target = tempfile::tempdir().unwrap();
    let depth = 200_000u64;
    let entry = Node::implied("d", vec![]).entry;
    let items = (1..=depth).map(|number| Item::Entry {
        number,
        parent: number - 1,
        entry: Box::new(entry.clone()),
        implied: true,
    });
    let messages = VecDeque::from([
        Message::Items(Items(items.collect())),
        Message::WindowEnd(Window { number: 1 }),
    ]);
    let (outcome, _) = restore_stream(&order(target.path()), &mut Stream::of(messages));
    assert_eq!(outcome.status, Status::Ok);
}

#[test]
fn content_that_is_not_the_file_s_own_is_refused() {
    let content = b"sixteen bytes ok";
    let id = ChunkId::of(content);
    let mut node = Node::file("f", content);
    node.entry.content = Content::Chunks(vec![ChunkRef { id, len: 16 }]);
    let slot = |bytes: &[u8]| Slot {
        id: ChunkId::of(bytes),
        len: bytes.len() as u32,
    };
    for (bytes, offset) in [
        (&b"other bytes here"[..], 0),
        (content, 1),
        (content, u64::MAX - 3),
        (b"longer than sixteen bytes", 0),
    ] {
        let target = tempfile::tempdir().unwrap();
        let segment = Segment {
            codec: Codec::Stored,
            slots: vec![slot(bytes)],
            payload: Bytes::copy_from_slice(bytes),
        };
        let placements = vec![
            Placement {
                slot: 0,
                number: 77,
                offset: 0,
            },
            Placement {
                slot: 0,
                number: 1,
                offset,
            },
        ];
        let entry = Box::new(node.entry.clone());
        let messages = VecDeque::from([
            Message::Items(Items(vec![Item::Entry {
                number: 1,
                parent: 0,
                entry,
                implied: false,
            }])),
            Message::Delivery(Delivery {
                segment,
                placements,
            }),
            Message::WindowEnd(Window { number: 1 }),
        ]);
        let (outcome, _) = restore_stream(&order(target.path()), &mut Stream::of(messages));
        assert_eq!((outcome.status, outcome.failed), (Status::Error, 1));
        assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
    }
}

/// One step of a stream made by chance: kind, parent, name, content, link group.
type Step = (u8, u64, u8, u8, u8);

fn hostile_stream(steps: &[Step], out: &str) -> Stream {
    let (mut items, mut deliveries) = (Vec::new(), Vec::new());
    for (n, (kind, parent, name, content, group)) in steps.iter().enumerate() {
        let number = n as u64 + 1;
        let name = ["a", "b", "c", "evil", "sub", "victim"][usize::from(name % 6)];
        let bytes = vec![*content; usize::from(*content % 3)];
        let mut node = match kind % 8 {
            0 | 1 => Node::dir(name, vec![]),
            2 => Node::implied(name, vec![]),
            3 => Node::link(name, out),
            4 => Node::link(name, "../.."),
            5 => Node::of(name, Kind::Fifo),
            6 => {
                items.push(Item::DirectoryEnd { number: *parent });
                continue;
            }
            _ => Node::file(name, &bytes),
        };
        let entry = &mut node.entry;
        if *group > 200 && entry.kind != Kind::Directory {
            entry.link_group = Some(LinkGroup {
                fs: 1,
                ino: u64::from(group % 3),
            });
            entry.stat.nlink = 2;
        }
        if !bytes.is_empty() && entry.kind == Kind::File {
            let id = ChunkId::of(&bytes);
            entry.content = Content::Chunks(vec![ChunkRef {
                id,
                len: bytes.len() as u32,
            }]);
            let slots = vec![Slot {
                id,
                len: bytes.len() as u32,
            }];
            let segment = Segment {
                codec: Codec::Stored,
                slots,
                payload: bytes.into(),
            };
            let placements = vec![Placement {
                slot: 0,
                number,
                offset: 0,
            }];
            deliveries.push(Message::Delivery(Delivery {
                segment,
                placements,
            }));
        }
        let entry = Box::new(node.entry);
        items.push(Item::Entry {
            number,
            parent: *parent,
            entry,
            implied: node.implied,
        });
    }
    let mut messages = VecDeque::from([Message::Items(Items(items))]);
    messages.extend(deliveries);
    messages.push_back(Message::WindowEnd(Window { number: 1 }));
    Stream::of(messages)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_stream_writes_outside(
        steps in proptest::collection::vec((any::<u8>(), 0u64..12, any::<u8>(), any::<u8>(), any::<u8>()), 0..30),
        replace in 0i32..5,
        exact in any::<bool>(),
    ) {
        let (target, outside) = (tempfile::tempdir().unwrap(), Outside::new());
        let to = target.path().join("t");
        std::fs::create_dir_all(to.join("sub/a")).unwrap();
        symlink(outside.path(), to.join("evil")).unwrap();
        symlink(outside.path(), to.join("sub/b")).unwrap();
        std::fs::write(target.path().join("beside"), b"mine").unwrap();
        let order = common::protocol::orders::RestoreOrder {
            replace,
            exact,
            fileset: Some(super::tests::everything()),
            ..order(&to)
        };
        prop_assert!(Replace::try_from(replace).is_ok());
        let (context, _) = context();
        let mut stream = hostile_stream(&steps, outside.path().to_str().unwrap());
        let _ = run(&order, &mut stream, &context);
        outside.assert_untouched();
        prop_assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 2);
        no_temporaries(&to);
    }
}
