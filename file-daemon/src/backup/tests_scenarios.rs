//! What an administrator would see of one run after another, on real files.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime};

use common::object::attribute::marks;
use common::object::entry::{Content, Kind};

use super::run::BackupError;
use super::tests_memory::{Client, bytes};
use crate::sink::error::SinkError;
use crate::sink::stop::Stop;

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut out);
    out
}

/// A few folders with files of all sizes.
fn sample(client: &Client) {
    for n in 0..30u64 {
        let folder = client.path(&format!("d{}", n % 5));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("f{n}")), noise(n, (n * 997) as usize)).unwrap();
    }
    fs::write(client.path("large"), noise(99, 9 << 20)).unwrap();
    fs::write(client.path("empty"), b"").unwrap();
}

#[test]
fn a_full_then_nothing_changed_then_a_full_again() {
    let mut client = Client::new();
    sample(&client);
    let first = client.save("full");
    client.check(&first);
    assert_eq!(first.counts.files, 32);
    assert_eq!(first.counts.new_entries, first.counts.entries);
    assert!(matches!(
        client.storage.tree(&first.root)[&client.key("large")].content,
        Content::List(_)
    ));
    client.storage.asked.lock().clear();
    let sent = first.counts.sent_bytes;
    for level in ["incremental", "full", "differential"] {
        let again = client.save(level);
        assert_eq!(again.root, first.root, "{level}");
        let c = again.counts;
        assert_eq!(
            (c.new_entries, c.changed_entries, c.removed_entries),
            (0, 0, 0),
            "{level}"
        );
        assert_eq!(c.files_read, if level == "full" { 32 } else { 0 });
        assert_eq!(c.sent_bytes, sent, "{level} sends nothing");
        client.check(&again);
    }
    assert!(
        client.storage.asked.lock().is_empty(),
        "ids of the base are never asked"
    );
    assert_eq!(client.storage.pages_got.load(SeqCst), 0);
}

#[test]
fn changed_new_removed_and_swapped_entries_are_counted_and_right() {
    let mut client = Client::new();
    sample(&client);
    client.save("full");
    fs::write(client.path("d1/f1"), b"other content").unwrap();
    fs::write(client.path("d1/new"), b"new").unwrap();
    fs::remove_dir_all(client.path("d2")).unwrap();
    fs::write(client.path("d2"), b"a file now").unwrap();
    fs::remove_file(client.path("empty")).unwrap();
    fs::create_dir(client.path("empty")).unwrap();
    fs::remove_file(client.path("d3/f3")).unwrap();
    let saved = client.save("incremental");
    client.check(&saved);
    let c = saved.counts;
    assert_eq!(c.files_read, 3, "f1, new, d2");
    assert_eq!(c.new_entries, 1, "new");
    assert_eq!(c.removed_entries, 6 + 1, "what was in d2, and f3");
    // f1, d2, empty, and the folders d1, d3, data.
    assert_eq!(c.changed_entries, 6);
}

#[test]
fn content_rewritten_with_size_and_mtime_put_back_is_found() {
    let mut client = Client::new();
    let path = client.path("file");
    fs::write(&path, b"before").unwrap();
    client.save("full");
    let mtime = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, b"behind").unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(mtime)
        .unwrap();
    let saved = client.save("incremental");
    assert_eq!(
        (saved.counts.files_read, saved.counts.changed_entries),
        (1, 1)
    );
    client.check(&saved);
}

#[test]
fn a_file_changed_just_before_the_scan_is_read_again_once() {
    let mut client = Client::new();
    fs::write(client.path("file"), b"content").unwrap();
    client.ahead_ms = 0;
    client.save("full");
    client.ahead_ms = 60_000;
    let second = client.save("incremental");
    let third = client.save("incremental");
    assert_eq!((second.counts.files_read, third.counts.files_read), (1, 0));
    assert_eq!(
        (second.counts.changed_entries, second.root),
        (0, third.root)
    );
}

#[test]
fn an_old_file_moved_in_and_renamed_folders_are_right() {
    let mut client = Client::new();
    sample(&client);
    let outside = client.folder.path().join("old");
    fs::write(&outside, b"old").unwrap();
    let file = fs::File::options().write(true).open(&outside).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(1 << 28))
        .unwrap();
    client.save("full");
    fs::rename(&outside, client.path("d1/old")).unwrap();
    fs::rename(client.path("d4"), client.path("a_renamed")).unwrap();
    fs::create_dir(client.path("z")).unwrap();
    fs::rename(client.path("d0"), client.path("z/d0")).unwrap();
    let saved = client.save("incremental");
    client.check(&saved);
    assert_eq!(saved.counts.files_read, 1, "only the file that moved in");
    assert_eq!(
        saved.counts.new_entries,
        1 + 7 + 1 + 7,
        "what moved counts where it is"
    );
    assert_eq!(saved.counts.removed_entries, 7 + 7);
}

#[test]
fn hard_links_fifos_links_and_sparse_files() {
    let mut client = Client::new();
    fs::write(client.path("a"), noise(1, 5000)).unwrap();
    for name in ["b", "c"] {
        fs::hard_link(client.path("a"), client.path(name)).unwrap();
    }
    symlink("nowhere", client.path("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        client.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let sparse = fs::File::create(client.path("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    sparse.write_all_at(&noise(2, 4096), 32 << 20).unwrap();
    let saved = client.save("full");
    client.check(&saved);
    let tree = client.storage.tree(&saved.root);
    let entry = |name: &str| &tree[&client.key(name)];
    assert_eq!(entry("a").content, entry("c").content);
    assert_eq!(entry("a").link_group, entry("b").link_group);
    assert!(entry("a").link_group.is_some());
    assert_eq!(
        (entry("fifo").kind, entry("link").kind),
        (Kind::Fifo, Kind::Symlink)
    );
    assert_eq!(entry("link").target.as_deref(), Some(&b"nowhere"[..]));
    assert_eq!(entry("sparse").stat.size, 64 << 20);
    assert_eq!(client.storage.content(entry("sparse")), noise(2, 4096));
    assert_eq!(
        saved.counts.files_read, 2,
        "a hard-linked file is read once"
    );
    assert_eq!(saved.counts.read_bytes, 5000 + 4096);
    fs::remove_file(client.path("b")).unwrap();
    let saved = client.save("incremental");
    client.check(&saved);
}

#[test]
fn names_of_all_bytes_and_access_times_untouched() {
    use std::os::unix::ffi::OsStrExt;
    let mut client = Client::new();
    for byte in (1..=255u8).filter(|b| *b != b'/' && *b != b'.') {
        let name = [byte, b'x'];
        fs::write(
            client.path("").join(std::ffi::OsStr::from_bytes(&name)),
            [byte],
        )
        .unwrap();
    }
    let long = client.path("").join("n".repeat(255));
    fs::write(&long, b"long").unwrap();
    let old = SystemTime::now() - Duration::from_secs(1 << 27);
    let times = fs::FileTimes::new().set_accessed(old);
    fs::File::options()
        .write(true)
        .open(&long)
        .unwrap()
        .set_times(times)
        .unwrap();
    let before = fs::metadata(&long).unwrap().atime();
    let saved = client.save("full");
    assert_eq!(fs::metadata(&long).unwrap().atime(), before);
    assert_eq!(saved.counts.files, 254);
    client.check(&saved);
}

#[test]
fn five_thousand_folders_deep() {
    use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
    let mut client = Client::new();
    let open = |at: &std::os::fd::OwnedFd, name: &str| {
        openat(at, name, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap()
    };
    let top: std::os::fd::OwnedFd = fs::File::open(client.path("")).unwrap().into();
    let mut at = top.try_clone().unwrap();
    const DEPTH: usize = 5000;
    for _ in 0..DEPTH {
        mkdirat(&at, "nested", Mode::RWXU).unwrap();
        mkdirat(&at, "zlast", Mode::RWXU).unwrap();
        at = open(&at, "nested");
    }
    let saved = client.save("full");
    assert_eq!(client.lines(), Vec::<String>::new());
    assert_eq!(
        saved.counts.directories as usize,
        2 * DEPTH + above(&client)
    );
    let again = client.save("incremental");
    assert_eq!(again.root, saved.root);
    // Take it down from below: no tool goes that deep.
    for _ in 0..DEPTH {
        at = open(&at, "..");
        unlinkat(&at, "nested", AtFlags::REMOVEDIR).unwrap();
        unlinkat(&at, "zlast", AtFlags::REMOVEDIR).unwrap();
    }
}

/// Directories from `/` down to the saved folder, itself included.
fn above(client: &Client) -> usize {
    client.path("").components().count() - 1
}

#[test]
fn lost_or_damaged_state_costs_time_and_nothing_else() {
    let mut client = Client::new();
    sample(&client);
    let first = client.save("full");
    fs::remove_dir_all(client.folder.path().join("state/series")).unwrap();
    let again = client.save("incremental");
    assert_eq!(again.root, first.root);
    assert_eq!(again.counts.files_read, 32, "nothing vouches for the files");
    assert_eq!(again.counts.changed_entries, 0);
    let third = client.save("incremental");
    assert_eq!(third.counts.files_read, 0);
    let pages = client
        .folder
        .path()
        .join("state/series")
        .join(hex::encode([1; 16]))
        .join("pages");
    let mut bytes = fs::read(&pages).unwrap();
    for at in (100..bytes.len()).step_by(97) {
        bytes[at] ^= 0x40;
    }
    fs::write(&pages, bytes).unwrap();
    fs::write(client.path("d1/f1"), b"other").unwrap();
    let saved = client.save("incremental");
    client.check(&saved);
}

#[test]
fn a_base_whose_pages_are_gone_is_read_again() {
    let mut client = Client::new();
    sample(&client);
    client.save("full");
    fs::remove_dir_all(client.folder.path().join("state/series")).unwrap();
    client.storage.pages.lock().clear();
    let saved = client.save("incremental");
    client.check(&saved);
    assert_eq!(saved.counts.files_read, 32);
}

#[test]
fn several_includes_excludes_and_missing_ones() {
    let mut client = Client::new();
    sample(&client);
    let paths = ["d1", "d1/f1", "d3", "large", "missing"].map(|n| client.path(n));
    client.include(&paths.each_ref().map(std::path::PathBuf::as_path));
    client.rule("f11");
    let saved = client.save("full");
    let tree = client.storage.tree(&saved.root);
    let names: Vec<_> = tree
        .keys()
        .filter_map(|k| k.strip_prefix(client.key("").as_slice()))
        .map(|k| String::from_utf8_lossy(k).into_owned())
        .collect();
    let expected = [
        "", "/d1", "/d1/f1", "/d1/f16", "/d1/f21", "/d1/f26", "/d1/f6", "/d3", "/d3/f13",
        "/d3/f18", "/d3/f23", "/d3/f28", "/d3/f3", "/d3/f8", "/large",
    ];
    assert_eq!(names, expected);
    assert_eq!(tree[&client.key("")].marks, marks::IMPLIED);
    assert_eq!(tree[&client.key("d1")].marks, 0);
    assert_eq!(saved.counts.unsaved, 1);
    assert!(client.lines().iter().any(|l| l.contains("missing")));
    let again = client.save("incremental");
    assert_eq!((again.root, again.counts.files_read), (saved.root, 0));
}

#[test]
fn an_include_that_vanished_or_is_not_mounted_keeps_its_last_state() {
    let mut client = Client::new();
    sample(&client);
    let paths = ["d1", "d2"].map(|n| client.path(n));
    client.include(&paths.each_ref().map(std::path::PathBuf::as_path));
    let first = client.save("full");
    let before = client.storage.tree(&first.root);
    fs::rename(client.path("d1"), client.path("elsewhere")).unwrap();
    fs::rename(client.path("d2"), client.path("elsewhere2")).unwrap();
    fs::create_dir(client.path("d2")).unwrap();
    for _ in 0..2 {
        let saved = client.save("incremental");
        let tree = client.storage.tree(&saved.root);
        assert_eq!(
            tree.keys().collect::<Vec<_>>(),
            before.keys().collect::<Vec<_>>()
        );
        for name in ["d1", "d2"] {
            assert_eq!(tree[&client.key(name)].marks, marks::STALE, "{name}");
        }
        assert_eq!((saved.counts.unsaved, saved.counts.removed_entries), (2, 0));
        assert_eq!(saved.counts.entries, first.counts.entries);
        assert_eq!(client.log.warnings(), 2);
    }
    fs::remove_dir(client.path("d2")).unwrap();
    fs::rename(client.path("elsewhere"), client.path("d1")).unwrap();
    fs::rename(client.path("elsewhere2"), client.path("d2")).unwrap();
    let saved = client.save("incremental");
    client.check(&saved);
}

#[test]
fn own_folders_are_never_saved() {
    let mut client = Client::new();
    let all = client.folder.path().to_owned();
    client.include(&[&all]);
    let saved = client.save("full");
    let tree = client.storage.tree(&saved.root);
    assert!(tree.contains_key(&client.key("")));
    assert!(!tree.contains_key(&bytes(&all.join("state"))));
    assert!(
        client
            .lines()
            .iter()
            .any(|l| l.contains("belongs to Holdfast"))
    );
}

#[test]
fn output_of_commands_is_saved_and_a_failing_one_fails_the_run() {
    let mut client = Client::new();
    client.include(&[]);
    client.command(
        "/holdfast-test-dump/db.sql",
        &["sh", "-c", "echo data; echo careful >&2"],
    );
    let saved = client.save("full");
    let tree = client.storage.tree(&saved.root);
    let entry = &tree[&b"/holdfast-test-dump/db.sql"[..]];
    assert_eq!(client.storage.content(entry), b"data\n");
    assert_eq!((entry.marks, entry.stat.size), (marks::COMMAND, 5));
    assert_eq!(client.lines(), ["sh: careful"]);
    client.save("incremental");
    client.command(
        "/holdfast-test-dump/bad",
        &["sh", "-c", "echo half; exit 3"],
    );
    let error = client.try_run("full", &Stop::default()).unwrap_err();
    assert_eq!(error.outcome(), "error");
    assert!(error.to_string().contains("exit status: 3"), "{error}");
}

#[test]
fn a_storage_lost_half_way_leaves_a_run_that_resumes() {
    let mut client = Client::new();
    sample(&client);
    for n in 0..40 {
        fs::write(client.path(&format!("m{n:02}")), noise(1000 + n, 3 << 20)).unwrap();
    }
    client.checkpoint_s = 1;
    client.storage.pace_ms.store(30, SeqCst);
    client.storage.breaks.store(true, SeqCst);
    let error = client.try_run("full", &Stop::default()).unwrap_err();
    assert_eq!(error.outcome(), "incomplete", "{error}");
    client.storage.breaks.store(false, SeqCst);
    client.storage.pace_ms.store(0, SeqCst);
    client.resume = client.storage.checkpoints.lock().last().copied();
    let unfinished = client.storage.tree(&client.resume.unwrap());
    let data = &unfinished[&client.key("")];
    assert_eq!(data.marks, marks::UNFINISHED);
    let files = unfinished.values().filter(|e| e.kind == Kind::File).count() as u64;
    let saved = client.save("full");
    assert!(files > 0);
    assert_eq!(saved.counts.files_read, saved.counts.files - files);
    client.resume = None;
    client.check(&saved);
}

#[test]
fn a_canceled_run_ends_at_once() {
    let mut client = Client::new();
    sample(&client);
    let stop = Stop::default();
    stop.set(SinkError::Canceled);
    let error = client.try_run("full", &stop).unwrap_err();
    assert!(matches!(error, BackupError::Sink(SinkError::Canceled)));
}

/// Runs as nobody on a thread of its own: credentials are the thread's, and its threads inherit them.
fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let nobody = rustix::fs::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn what_may_not_be_read_keeps_its_last_state_and_is_named_once() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let mut client = Client::new();
    sample(&client);
    let first = client.save("full");
    let before = client.storage.tree(&first.root);
    fs::write(client.path("d3/f3"), b"changed").unwrap();
    fs::write(client.path("d3/fresh"), b"fresh").unwrap();
    for name in ["d1", "d3/f3", "d3/fresh"] {
        mode(&client.path(name), 0o000);
    }
    let state = client
        .folder
        .path()
        .join("state/series")
        .join(hex::encode([1; 16]));
    mode(&state, 0o777);
    for file in fs::read_dir(&state).unwrap() {
        mode(&file.unwrap().path(), 0o666);
    }
    let saved = as_nobody(|| client.save("incremental"));
    let tree = client.storage.tree(&saved.root);
    let c = saved.counts;
    assert_eq!(
        (c.unsaved, client.log.warnings(), c.removed_entries),
        (3, 3, 0)
    );
    assert_eq!(c.entries, first.counts.entries + 1);
    assert_eq!(tree[&client.key("d1")].marks, marks::STALE);
    assert_eq!(tree[&client.key("d1/f1")], before[&client.key("d1/f1")]);
    assert_eq!(tree[&client.key("d3/f3")].marks, marks::STALE);
    assert_eq!(
        tree[&client.key("d3/f3")].content,
        before[&client.key("d3/f3")].content
    );
    let lines = client.lines();
    let fresh = &tree[&client.key("d3/fresh")];
    assert_eq!(
        (fresh.marks, &fresh.content),
        (marks::UNREAD, &Content::None)
    );
    for name in ["d1", "d3/f3", "d3/fresh"] {
        let path = format!("{}", client.path(name).display());
        assert_eq!(
            lines.iter().filter(|l| l.contains(&path)).count(),
            1,
            "{name}"
        );
        mode(&client.path(name), 0o755);
    }
    let saved = client.save("incremental");
    client.check(&saved);
}
