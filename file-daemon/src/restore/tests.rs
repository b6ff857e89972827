//! Restores of real files into temporary folders.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use common::object::attribute::FileTime;
use common::object::entry::{Entry, Kind};
use common::protocol::orders::{Replace, RestoreOrder, Severity};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::test_server::{Node, Server, Stream, read_tree};
use super::*;

pub(crate) type Lines = Arc<Mutex<Vec<(Severity, String)>>>;

pub(crate) fn context() -> (RestoreContext, Lines) {
    let lines = Lines::default();
    let log = Arc::clone(&lines);
    let context = RestoreContext {
        permit: vec![b"/".to_vec()],
        permit_commands: None,
        spool: std::env::temp_dir(),
        log: Box::new(move |severity, text| log.lock().push((severity, text))),
        progress: Box::new(|_, _| {}),
        stop: CancellationToken::new(),
        workers: 3,
    };
    (context, lines)
}

pub(crate) fn order(to: &Path) -> RestoreOrder {
    RestoreOrder {
        job_id: 7,
        to: to.as_os_str().as_bytes().to_vec(),
        mode: "restore".into(),
        ..RestoreOrder::default()
    }
}

/// A FileSet that saves all there is.
pub(crate) fn everything() -> common::fileset::FileSet {
    common::fileset::FileSet {
        includes: vec![common::fileset::Include {
            path: b"/".to_vec(),
            ..common::fileset::Include::default()
        }],
        ..common::fileset::FileSet::default()
    }
}

fn restore(order: &RestoreOrder, nodes: &[Node]) -> (RestoreOutcome, Lines) {
    restore_stream(order, &mut Server::default().stream(nodes))
}

pub(crate) fn restore_stream(order: &RestoreOrder, stream: &mut Stream) -> (RestoreOutcome, Lines) {
    let (context, lines) = context();
    (run(order, stream, &context), lines)
}

pub(crate) fn no_temporaries(path: &Path) {
    for found in std::fs::read_dir(path).unwrap().flatten() {
        assert!(
            !found.file_name().as_bytes().starts_with(b".holdfast-"),
            "{found:?}"
        );
        if found.file_type().unwrap().is_dir() {
            no_temporaries(&found.path());
        }
    }
}

/// What must be equal after a restore, by path. Link groups as the first path of each.
fn comparable(nodes: &[Node]) -> Vec<(Vec<u8>, Entry, Vec<u8>)> {
    fn walk(nodes: &[Node], above: &[u8], out: &mut Vec<(Vec<u8>, Entry, Vec<u8>)>) {
        for node in nodes {
            let path = [above, b"/", &node.entry.name].concat();
            let mut entry = node.entry.clone();
            entry.birth = None;
            entry.stat.ctime = FileTime::default();
            if entry.kind != Kind::File {
                // Reading a directory or a link touches its access time.
                entry.stat.atime = FileTime::default();
            }
            let ino = std::mem::take(&mut entry.stat.ino);
            if let Some(group) = &mut entry.link_group {
                let first = out.iter().position(|(_, e, _)| {
                    e.cut.is_none() && e.link_group.is_some_and(|g| g.fs == ino)
                });
                group.ino = first.map_or(0, |n| n as u64 + 1);
                group.fs = ino;
            }
            out.push((path.clone(), entry, node.content.clone()));
            walk(&node.children, &path, out);
        }
    }
    let mut out = Vec::new();
    walk(nodes, b"", &mut out);
    for (_, entry, _) in &mut out {
        if let Some(group) = &mut entry.link_group {
            group.fs = 0;
        }
    }
    out
}

fn assert_same(source: &Path, restored: &Path) {
    let (a, b) = (
        comparable(&read_tree(source)),
        comparable(&read_tree(restored)),
    );
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(&b) {
        assert_eq!(x, y);
    }
}

/// A tree with one of everything.
fn furnish(path: &Path) {
    let write = |name: &str, content: &[u8]| std::fs::write(path.join(name), content).unwrap();
    write("empty", b"");
    write("small", b"hello");
    write(
        "large",
        &(0..3_000_000u32)
            .flat_map(u32::to_le_bytes)
            .collect::<Vec<u8>>(),
    );
    std::fs::create_dir_all(path.join("d/e/f")).unwrap();
    std::fs::create_dir(path.join("d/none")).unwrap();
    write("d/e/f/g", b"deep");
    write("d/b", b"link me");
    std::fs::hard_link(path.join("d/b"), path.join("d/e/b2")).unwrap();
    std::fs::hard_link(path.join("d/b"), path.join("z")).unwrap();
    symlink("nowhere", path.join("dangling")).unwrap();
    symlink("d", path.join("to-d")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd \xff\n name");
    std::fs::write(path.join(odd), b"1").unwrap();
    let sparse = std::fs::File::create(path.join("sparse")).unwrap();
    sparse.set_len(10 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &[7; 5000], 5 << 20).unwrap();
    std::fs::File::create(path.join("hole"))
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    write("zeros", &vec![0; 1 << 20]);
    let node = |name: &str, kind, dev| {
        let dir = std::fs::File::open(path).unwrap();
        rustix::fs::mknodat(dir, name, kind, 0o640.into(), dev).unwrap();
    };
    node("fifo", rustix::fs::FileType::Fifo, 0);
    node("socket", rustix::fs::FileType::Socket, 0);
    std::fs::set_permissions(path.join("d/none"), PermissionsExt::from_mode(0o0)).unwrap();
    std::fs::set_permissions(path.join("small"), PermissionsExt::from_mode(0o4755)).unwrap();
    let set = |name: &str, attribute: &str, value: &[u8]| {
        rustix::fs::setxattr(
            path.join(name),
            attribute,
            value,
            rustix::fs::XattrFlags::empty(),
        )
        .unwrap();
    };
    set("small", "user.colour", b"blue");
    set("d/e", "user.large", &vec![3; 3000]);
    set("d/b", "user.large", &vec![4; 3000]);
    if rustix::process::geteuid().is_root() {
        node(
            "null",
            rustix::fs::FileType::CharacterDevice,
            rustix::fs::makedev(1, 3),
        );
        std::os::unix::fs::lchown(path.join("dangling"), Some(5), Some(6)).unwrap();
        std::os::unix::fs::chown(path.join("d/b"), Some(1000), Some(1001)).unwrap();
        set("small", "trusted.seen", b"1");
    }
    let old = rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec {
            tv_sec: 5,
            tv_nsec: 6,
        },
        last_modification: rustix::fs::Timespec {
            tv_sec: -7,
            tv_nsec: 8,
        },
    };
    for name in ["d/e/f/g", "small", "d/e", "d"] {
        rustix::fs::utimensat(
            rustix::fs::CWD,
            path.join(name),
            &old,
            rustix::fs::AtFlags::empty(),
        )
        .unwrap();
    }
}

#[test]
fn a_tree_comes_back_exactly() {
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(source.path());
    let nodes = read_tree(source.path());
    for (n, server) in [
        Server::default(),
        Server {
            window_entries: 1,
            ..Server::default()
        },
        Server {
            window_entries: 5,
            segments_per_window: 1,
            chunk_bytes: 1000,
            ..Server::default()
        },
    ]
    .iter()
    .enumerate()
    {
        let to = target.path().join(format!("new/{n}"));
        let mut stream = server.stream(&nodes);
        let windows = stream
            .messages
            .iter()
            .filter(|m| matches!(m, Message::WindowEnd(_)))
            .count();
        let (outcome, lines) = restore_stream(&order(&to), &mut stream);
        assert_eq!(outcome.status, Status::Ok, "{outcome:?} {:?}", lines.lock());
        assert_eq!(stream.done.len(), windows);
        assert_eq!(outcome.linked, 2);
        assert_same(source.path(), &to);
        no_temporaries(&to);
    }
}

#[test]
fn again_over_what_is_there_and_in_every_policy() {
    let target = tempfile::tempdir().unwrap();
    let snapshot = [Node::dir(
        "d",
        vec![
            Node::file("f", b"from the snapshot"),
            Node::file("new", b"n"),
        ],
    )];
    for (replace, kept) in [
        (Replace::Always, false),
        (Replace::Never, true),
        (Replace::IfNewer, true),
        (Replace::IfOlder, false),
        (Replace::IfChanged, false),
    ] {
        let to = target.path().join(format!("{replace:?}"));
        std::fs::create_dir_all(to.join("d")).unwrap();
        std::fs::write(to.join("d/f"), b"mine").unwrap();
        std::fs::write(to.join("d/extra"), b"mine").unwrap();
        std::fs::hard_link(to.join("d/f"), to.join("other-name")).unwrap();
        let before = std::fs::metadata(to.join("d/f")).unwrap();
        let order = RestoreOrder {
            replace: replace as i32,
            ..order(&to)
        };
        let (outcome, lines) = restore(&order, &snapshot);
        assert_eq!(
            outcome.status,
            Status::Ok,
            "{replace:?} {outcome:?} {:?}",
            lines.lock()
        );
        let after = std::fs::metadata(to.join("d/f")).unwrap();
        let content = std::fs::read(to.join("d/f")).unwrap();
        if kept {
            assert_eq!(
                (content.as_slice(), after.ctime_nsec()),
                (&b"mine"[..], before.ctime_nsec()),
                "{replace:?}"
            );
            assert_eq!(outcome.kept, 1);
        } else {
            assert_eq!(content, b"from the snapshot", "{replace:?}");
            assert_ne!(after.ino(), before.ino());
            assert_eq!(after.mtime(), 1_600_000_000);
        }
        // Other names of the old inode keep the old content, and what the snapshot does not know stays.
        assert_eq!(std::fs::read(to.join("other-name")).unwrap(), b"mine");
        assert_eq!(std::fs::read(to.join("d/extra")).unwrap(), b"mine");
        assert_eq!(std::fs::read(to.join("d/new")).unwrap(), b"n");
    }
}

#[test]
fn exact_removes_extra_names_but_not_beside_the_selection() {
    let target = tempfile::tempdir().unwrap();
    let to = target.path();
    std::fs::create_dir_all(to.join("home/u/deep/er")).unwrap();
    std::fs::create_dir_all(to.join("home/other")).unwrap();
    for name in [
        "home/u/extra",
        "home/u/deep/er/x",
        "home/u/f",
        "home/beside",
        "home/other/y",
    ] {
        std::fs::write(to.join(name), b"old").unwrap();
    }
    let nodes = [Node::implied(
        "home",
        vec![Node::dir("u", vec![Node::file("f", b"new")])],
    )];
    let exact = RestoreOrder {
        exact: true,
        fileset: Some(everything()),
        ..order(to)
    };
    let dry = RestoreOrder {
        mode: "dry-run".into(),
        ..exact.clone()
    };
    let server = Server {
        names_only: true,
        ..Server::default()
    };
    let (outcome, lines) = restore_stream(&dry, &mut server.stream(&nodes));
    assert_eq!(
        (outcome.status, outcome.removed),
        (Status::Ok, 2),
        "{:?}",
        lines.lock()
    );
    assert!(to.join("home/u/deep/er/x").exists());
    assert!(
        lines
            .lock()
            .iter()
            .any(|(_, l)| *l == format!("would remove {}", to.join("home/u/extra").display())),
        "{:?}",
        lines.lock()
    );
    assert!(
        lines
            .lock()
            .iter()
            .any(|(_, l)| *l == format!("would replace {}", to.join("home/u/f").display()))
    );
    let (outcome, lines) = restore(&exact, &nodes);
    assert_eq!(
        (outcome.status, outcome.removed),
        (Status::Ok, 2),
        "{:?}",
        lines.lock()
    );
    assert!(!to.join("home/u/extra").exists() && !to.join("home/u/deep").exists());
    assert!(to.join("home/beside").exists() && to.join("home/other/y").exists());
    assert_eq!(std::fs::read(to.join("home/u/f")).unwrap(), b"new");
}

#[test]
fn exact_removes_nothing_beside_an_include_when_the_whole_snapshot_is_restored() {
    let target = tempfile::tempdir().unwrap();
    let to = target.path();
    std::fs::create_dir_all(to.join("var/include")).unwrap();
    std::fs::create_dir_all(to.join("var/lib/other")).unwrap();
    for name in ["var/beside", "var/lib/other/y", "var/include/extra"] {
        std::fs::write(to.join(name), b"old").unwrap();
    }
    // As a whole snapshot is streamed: the folder above the include is an entry like all others, but for its mark.
    let mut above = Node::dir(
        "var",
        vec![Node::dir("include", vec![Node::file("f", b"new")])],
    );
    above.entry.marks = common::object::attribute::marks::IMPLIED;
    let exact = RestoreOrder {
        exact: true,
        fileset: Some(everything()),
        ..order(to)
    };
    let (outcome, lines) = restore(&exact, &[above]);
    assert_eq!(
        (outcome.status, outcome.removed),
        (Status::Ok, 1),
        "{:?}",
        lines.lock()
    );
    assert!(!to.join("var/include/extra").exists());
    assert!(to.join("var/beside").exists() && to.join("var/lib/other/y").exists());
}

#[test]
fn a_dry_run_to_a_folder_that_is_not_there_makes_nothing() {
    let target = tempfile::tempdir().unwrap();
    let to = target.path().join("new/folder");
    let nodes = [Node::dir("d", vec![Node::file("f", b"content")])];
    let dry = RestoreOrder {
        mode: "dry-run".into(),
        ..order(&to)
    };
    let server = Server {
        names_only: true,
        ..Server::default()
    };
    let (outcome, lines) = restore_stream(&dry, &mut server.stream(&nodes));
    let lines: Vec<String> = lines.lock().iter().map(|(_, l)| l.clone()).collect();
    assert_eq!(
        lines,
        [
            format!("would make directory {}/d", to.display()),
            format!("would restore {}/d/f", to.display())
        ]
    );
    assert_eq!((outcome.status, outcome.counts.entries), (Status::Ok, 2));
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
}

#[test]
fn directories_and_files_change_places() {
    let target = tempfile::tempdir().unwrap();
    let to = target.path();
    std::fs::create_dir_all(to.join("now-file/with/things")).unwrap();
    std::fs::write(to.join("now-dir"), b"1").unwrap();
    symlink("/etc", to.join("link-now-dir")).unwrap();
    symlink("/etc/passwd", to.join("link-now-file")).unwrap();
    let nodes = [
        Node::dir("link-now-dir", vec![Node::file("f", b"inside")]),
        Node::file("link-now-file", b"content"),
        Node::dir("now-dir", vec![Node::file("f", b"inside")]),
        Node::file("now-file", b"content"),
    ];
    let passwd = std::fs::read("/etc/passwd").unwrap();
    let (outcome, lines) = restore(&order(to), &nodes);
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    assert_eq!(std::fs::read(to.join("now-file")).unwrap(), b"content");
    assert_eq!(std::fs::read(to.join("link-now-file")).unwrap(), b"content");
    assert!(!to.join("link-now-file").is_symlink() && !to.join("link-now-dir").is_symlink());
    assert_eq!(std::fs::read(to.join("now-dir/f")).unwrap(), b"inside");
    assert_eq!(std::fs::read("/etc/passwd").unwrap(), passwd);
    assert!(!Path::new("/etc/f").exists());
}

#[test]
fn strip_and_prefix_map_paths_without_stray_folders() {
    let target = tempfile::tempdir().unwrap();
    let u = Node::dir(
        "u",
        vec![
            Node::file("f", b"1"),
            Node::dir("d", vec![Node::file("g", b"2")]),
        ],
    );
    let v = Node::dir("v", vec![Node::file("h", b"3")]);
    let nodes = [
        Node::implied("home", vec![u, v]),
        Node::implied("unused", vec![]),
    ];
    let to = target.path().join("t");
    let mapped = RestoreOrder {
        strip: b"/home/u".to_vec(),
        prefix: b"old/stuff".to_vec(),
        ..order(&to)
    };
    let (outcome, lines) = restore(&mapped, &nodes);
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    assert_eq!(std::fs::read(to.join("old/stuff/f")).unwrap(), b"1");
    assert_eq!(std::fs::read(to.join("old/stuff/d/g")).unwrap(), b"2");
    assert_eq!(std::fs::read(to.join("old/stuff/home/v/h")).unwrap(), b"3");
    assert!(!to.join("old/stuff/unused").exists() && !to.join("old/stuff/u").exists());
    let names = std::fs::read_dir(to.join("old/stuff")).unwrap().count();
    assert_eq!(names, 3);
    assert_eq!(
        std::fs::metadata(to.join("old")).unwrap().mode() & 0o777,
        0o755
    );
}

#[test]
fn damaged_and_missing_content_is_named_and_everything_else_delivered() {
    let target = tempfile::tempdir().unwrap();
    let to = target.path();
    std::fs::write(to.join("lost"), b"what was there").unwrap();
    let big = vec![9; 300_000];
    let nodes = [
        Node::file("corrupt", b"corrupt content"),
        Node::file("fine", b"fine"),
        Node::file("lost", &big),
    ];
    let server = Server {
        lost: vec![b"lost".to_vec()],
        corrupt: vec![b"corrupt".to_vec()],
        ..Server::default()
    };
    let (outcome, lines) = restore_stream(&order(to), &mut server.stream(&nodes));
    assert_eq!(
        (outcome.status, outcome.lost, outcome.failed),
        (Status::Error, 2, 2),
        "{:?}",
        lines.lock()
    );
    assert_eq!(std::fs::read(to.join("fine")).unwrap(), b"fine");
    assert!(!to.join("corrupt").exists());
    assert_eq!(std::fs::read(to.join("lost")).unwrap(), b"what was there");
    let said = |part: &str| lines.lock().iter().any(|(_, l)| l.contains(part));
    assert!(
        said("lost was not restored: its content is damaged in the storage: volume v1 at 4096"),
        "{:?}",
        lines.lock()
    );
    assert!(said("corrupt was not restored"));
    no_temporaries(to);
    // A sender that forgets content is found out.
    let silent = Server {
        names_only: true,
        ..Server::default()
    };
    let (outcome, _) = restore_stream(&order(&to.join("2")), &mut silent.stream(&nodes));
    assert_eq!((outcome.status, outcome.failed), (Status::Error, 3));
}

#[test]
fn a_broken_stream_leaves_no_half_file_and_a_second_run_finishes() {
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(source.path());
    let nodes = read_tree(source.path());
    let to = target.path().join("t");
    let server = Server {
        window_entries: 6,
        chunk_bytes: 10_000,
        ..Server::default()
    };
    let whole = server.stream(&nodes).messages.len();
    for cut in (1..whole).step_by(whole / 12 + 1) {
        let mut stream = server.stream(&nodes);
        stream.messages.truncate(cut);
        let (outcome, _) = restore_stream(&order(&to), &mut stream);
        assert_eq!(outcome.status, Status::Error);
        assert!(outcome.fault.unwrap().retry);
        no_temporaries(&to);
        if let Ok(large) = std::fs::metadata(to.join("large")) {
            assert_eq!(large.len(), 12_000_000);
        }
    }
    std::fs::write(
        to.join(".holdfast-999999999-1-1.tmp"),
        b"of a killed daemon",
    )
    .unwrap();
    let (outcome, lines) = restore_stream(&order(&to), &mut server.stream(&nodes));
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    assert_same(source.path(), &to);
}

#[test]
fn busy_immutable_and_read_only_targets_are_replaced() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let target = tempfile::tempdir().unwrap();
    let to = target.path();
    std::fs::copy("/bin/sleep", to.join("busy")).unwrap();
    let mut running = std::process::Command::new(to.join("busy"))
        .arg("100")
        .spawn()
        .unwrap();
    std::fs::create_dir(to.join("d")).unwrap();
    for name in ["fixed", "d/inside"] {
        std::fs::write(to.join(name), b"old").unwrap();
    }
    let flag = |name: &str, flags: u32| {
        crate::attributes::flags::write(std::fs::File::open(to.join(name)).unwrap(), flags)
            .unwrap();
    };
    flag("fixed", 0x10);
    flag("d", 0x10);
    let mut fixed = Node::file("fixed", b"new");
    fixed.entry.flags = 0x10;
    let mut linked = fixed.clone();
    linked.entry.name = b"fixed-too".to_vec();
    for node in [&mut fixed, &mut linked] {
        node.entry.link_group = Some(common::object::attribute::LinkGroup { fs: 1, ino: 2 });
        node.entry.stat.nlink = 2;
    }
    let nodes = [
        Node::file("busy", b"new"),
        Node::dir("d", vec![Node::file("inside", b"new")]),
        fixed,
        linked,
    ];
    let (outcome, lines) = restore(&order(to), &nodes);
    running.kill().unwrap();
    running.wait().unwrap();
    let flags =
        crate::attributes::flags::read(std::fs::File::open(to.join("fixed-too")).unwrap()).unwrap();
    flag("fixed", 0);
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    assert_eq!(flags, 0x10);
    for name in ["busy", "d/inside", "fixed", "fixed-too"] {
        assert_eq!(std::fs::read(to.join(name)).unwrap(), b"new", "{name}");
    }
    assert_eq!(std::fs::metadata(to.join("fixed")).unwrap().nlink(), 2);
}

#[test]
fn default_acls_of_an_existing_folder_do_not_leak_into_what_is_restored() {
    let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    furnish(source.path());
    let acl = |perm: u16| {
        let mut out = 2u32.to_le_bytes().to_vec();
        for tag in [1u16, 4, 0x20] {
            out.extend(tag.to_le_bytes());
            out.extend(perm.to_le_bytes());
            out.extend(u32::MAX.to_le_bytes());
        }
        out
    };
    let set = rustix::fs::setxattr(
        target.path(),
        "system.posix_acl_default",
        &acl(7),
        rustix::fs::XattrFlags::empty(),
    );
    if set.is_err() {
        return;
    }
    let nodes = read_tree(source.path());
    let (outcome, lines) = restore(&order(target.path()), &nodes);
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    assert_same(source.path(), target.path());
}

#[test]
fn five_thousand_levels_come_back() {
    let target = tempfile::tempdir().unwrap();
    let (mut items, mut messages) = (Vec::new(), std::collections::VecDeque::new());
    use common::protocol::restore::{Item, Items, Window};
    let depth = 5000u64;
    for number in 1..=depth {
        let node = Node::dir("a-name-of-some-length-so-that-no-path-fits", vec![]);
        items.push(Item::Entry {
            number,
            parent: number - 1,
            entry: Box::new(node.entry),
            implied: false,
        });
    }
    let bottom = Box::new(Node::file("bottom", b"").entry);
    items.push(Item::Entry {
        number: depth + 1,
        parent: depth,
        entry: bottom,
        implied: false,
    });
    items.extend(
        (1..=depth)
            .rev()
            .map(|number| Item::DirectoryEnd { number }),
    );
    messages.push_back(Message::Items(Items(items)));
    messages.push_back(Message::WindowEnd(Window { number: 1 }));
    let (outcome, lines) = restore_stream(&order(target.path()), &mut Stream::of(messages));
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    assert_eq!(
        (outcome.counts.directories, outcome.counts.files),
        (depth, 1)
    );
    let mut at = std::os::fd::OwnedFd::from(std::fs::File::open(target.path()).unwrap());
    for _ in 0..depth {
        at = super::handles::open_directory(&at, b"a-name-of-some-length-so-that-no-path-fits")
            .unwrap();
        assert_eq!(
            crate::attributes::look::look_at(&at)
                .unwrap()
                .stat
                .mtime
                .secs,
            1_600_000_000
        );
    }
    assert_eq!(
        crate::attributes::look(&at, b"bottom").unwrap().kind,
        Kind::File
    );
    let root = std::fs::File::open(target.path()).unwrap();
    super::remove::remove(&root, b"a-name-of-some-length-so-that-no-path-fits").unwrap();
}

#[test]
fn canceled_restores_say_so() {
    let target = tempfile::tempdir().unwrap();
    let (context, _) = context();
    context.stop.cancel();
    let nodes = [Node::file("f", b"1")];
    let outcome = run(
        &order(target.path()),
        &mut Server::default().stream(&nodes),
        &context,
    );
    assert_eq!(outcome.status, Status::Canceled);
    assert!(!target.path().join("f").exists());
}

/// Not a check but a measurement: `cargo test --release -p file-daemon small_files -- --ignored --nocapture`.
#[test]
#[ignore = "measures, on an idle machine"]
fn two_hundred_thousand_small_files() {
    let target = tempfile::tempdir().unwrap();
    let content = |d: u32, f: u32| format!("file {f} of {d} ").repeat(60).into_bytes();
    let nodes: Vec<Node> = (0..200)
        .map(|d| {
            let files = (0..1000).map(|f| Node::file(&format!("file-{f}"), &content(d, f)));
            Node::dir(&format!("dir-{d}"), files.collect())
        })
        .collect();
    let mut stream = Server {
        window_entries: 10_000,
        ..Server::default()
    }
    .stream(&nodes);
    let (mut context, lines) = context();
    context.workers = 2;
    let started = std::time::Instant::now();
    let outcome = run(&order(target.path()), &mut stream, &context);
    let took = started.elapsed();
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap_or_default();
    #[allow(clippy::print_stdout)]
    {
        println!(
            "{} files in {took:?}; process with the whole stream in memory: {peak}",
            outcome.counts.files
        );
    }
}

/// Mounts a small file system of its own; gone with the value.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn tmpfs(options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(dir.path())
            .output();
        mount.is_ok_and(|m| m.status.success()).then_some(Self(dir))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn a_full_target_stops_the_run_and_leaves_no_half_file() {
    // Only root mounts; without it there is nothing to fill.
    let Some(small) = Mounted::tmpfs("size=2m") else {
        return;
    };
    let noise = |n: usize| -> Vec<u8> {
        let mut bytes = vec![0; n];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    };
    let nodes: Vec<Node> = (0..40)
        .map(|n| Node::file(&format!("f{n:02}"), &noise(150_000 + n)))
        .collect();
    let (outcome, lines) = restore(&order(small.0.path()), &nodes);
    let fault = outcome.fault.clone().unwrap();
    assert_eq!(
        (outcome.status, fault.code.as_str()),
        (Status::Error, "storage-full"),
        "{:?}",
        lines.lock()
    );
    assert!(fault.text.contains("make room there"), "{fault:?}");
    no_temporaries(small.0.path());
    let whole = std::fs::read_dir(small.0.path()).unwrap().flatten();
    let sizes: Vec<u64> = whole.map(|f| f.metadata().unwrap().len()).collect();
    assert!(
        !sizes.is_empty() && sizes.iter().all(|s| *s >= 150_000),
        "{sizes:?}"
    );
}

#[test]
fn hard_links_across_file_systems_become_files_of_their_own() {
    let target = tempfile::tempdir().unwrap();
    let Some(other) = Mounted::tmpfs("size=8m") else {
        return;
    };
    // The other file system appears inside the target, as a mount there would.
    std::fs::create_dir(target.path().join("m")).unwrap();
    let bind = std::process::Command::new("mount")
        .arg("--bind")
        .args([other.0.path(), &target.path().join("m")])
        .status();
    assert!(bind.unwrap().success());
    let member = |name: &str, content: &[u8]| {
        let mut node = Node::file(name, content);
        node.entry.link_group = Some(common::object::attribute::LinkGroup { fs: 1, ino: 2 });
        node.entry.stat.nlink = 3;
        node
    };
    let content = vec![5; 100_000];
    let nodes = [
        member("a", &content),
        member("b", &content),
        Node::dir("m", vec![member("c", &content)]),
    ];
    let (outcome, lines) = restore(&order(target.path()), &nodes);
    let copy = std::fs::metadata(target.path().join("m/c")).map(|m| (m.nlink(), m.mtime()));
    let read = std::fs::read(target.path().join("m/c"));
    let _ = std::process::Command::new("umount")
        .arg(target.path().join("m"))
        .status();
    assert_eq!(outcome.status, Status::Ok, "{:?}", lines.lock());
    assert_eq!(
        (read.unwrap(), copy.unwrap()),
        (content, (1, 1_600_000_000))
    );
    assert_eq!(
        std::fs::metadata(target.path().join("a")).unwrap().nlink(),
        2
    );
    assert!(
        lines
            .lock()
            .iter()
            .any(|(_, l)| l.contains("m/c is a file of its own")),
        "{:?}",
        lines.lock()
    );
}

/// Run by [`without_root_content_comes_back_and_the_rest_is_summed_up`] as another user.
#[test]
#[ignore = "needs a user without rights; its parent test runs it"]
fn unprivileged_part() {
    let to = std::env::var_os("HOLDFAST_TEST_TARGET").unwrap();
    let mut owned = Node::file("owned", b"of somebody else");
    owned.entry.stat.uid = 0;
    owned.entry.stat.mode = 0o4755;
    let mut trusted = Node::file("trusted", b"x");
    trusted.entry.xattrs = vec![(b"trusted.x".to_vec(), b"1".to_vec())];
    let mut device = Node::of("null", Kind::CharDevice);
    device.entry.device = Some(common::object::attribute::Device { major: 1, minor: 3 });
    let mut closed = Node::dir("closed", vec![Node::file("inside", b"1")]);
    closed.entry.stat.mode = 0o500;
    let nodes = [
        closed,
        device,
        owned.clone(),
        Node {
            entry: Entry {
                name: b"owned2".to_vec(),
                ..owned.entry.clone()
            },
            ..owned
        },
        trusted,
    ];
    let to = Path::new(&to);
    for _ in 0..2 {
        let (outcome, lines) = restore(&order(to), &nodes);
        let lines: Vec<String> = lines.lock().iter().map(|(_, l)| l.clone()).collect();
        assert_eq!(
            (outcome.status, outcome.failed),
            (Status::Warnings, 0),
            "{lines:?}"
        );
        for part in [
            "owner or group of 2 entries",
            "setuid or setgid bit",
            "trusted.* extended attributes of 1",
            "device nodes",
        ] {
            assert_eq!(
                lines.iter().filter(|l| l.contains(part)).count(),
                1,
                "{part}: {lines:?}"
            );
        }
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(
            std::fs::read(to.join("owned")).unwrap(),
            b"of somebody else"
        );
        assert_eq!(
            std::fs::metadata(to.join("owned")).unwrap().mode() & 0o7777,
            0o755
        );
        assert_eq!(
            std::fs::metadata(to.join("closed")).unwrap().mode() & 0o7777,
            0o500
        );
        assert_eq!(
            std::fs::metadata(to.join("closed")).unwrap().mtime(),
            1_600_000_000
        );
    }
}

#[test]
fn without_root_content_comes_back_and_the_rest_is_summed_up() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let target = tempfile::tempdir().unwrap();
    let place = |name: &str| target.path().join(name);
    std::fs::create_dir(place("t")).unwrap();
    std::fs::copy(std::env::current_exe().unwrap(), place("test")).unwrap();
    for path in [target.path().to_path_buf(), place("t"), place("test")] {
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    let run = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(place("test"))
        .args(["--ignored", "--exact", "restore::tests::unprivileged_part"])
        .env("HOLDFAST_TEST_TARGET", place("t"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}
