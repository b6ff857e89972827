//! Restores onto what is there: replaced, kept or removed as asked, and nothing else.

use std::path::{Path, PathBuf};

use tests::args;
use tests::folder::Folder;
use tests::installation::{Installation, restored};

use crate::shared;

const STORED: (i64, u32) = (1_600_000_000, 5);
const OLDER: (i64, u32) = (1_500_000_000, 5);
const NEWER: (i64, u32) = (1_700_000_000, 5);

/// Files `older`, `newer`, `same`, `absent` in a backup, all of one mtime; now on disk: older, newer, unchanged, none.
fn changed(holdfast: &Installation, name: &str) -> PathBuf {
    let source = holdfast.scratch(name);
    let root = Folder::open(&source);
    for file in ["older", "newer", "same", "absent"] {
        root.file(file.as_bytes(), b"stored");
        root.times(file.as_bytes(), STORED, STORED);
    }
    holdfast.job_over(name, &source);
    holdfast.backup(name, 0);
    for (file, time) in [("older", OLDER), ("newer", NEWER)] {
        root.file(file.as_bytes(), b"on disk");
        root.mode(file.as_bytes(), 0o600);
        root.times(file.as_bytes(), time, time);
    }
    root.remove(b"absent");
    root.file(b"extra", b"not in the backup");
    source
}

fn text(source: &Path, file: &str) -> String {
    std::fs::read_to_string(source.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

#[test]
fn what_exists_is_replaced_by_rule() {
    let holdfast = shared::installation();
    for (policy, older, newer) in [
        ("always", "stored", "stored"),
        ("if-newer", "stored", "on disk"),
        ("if-older", "on disk", "stored"),
        ("if-changed", "stored", "stored"),
        ("never", "on disk", "on disk"),
    ] {
        let name = format!("replace-{policy}");
        let source = changed(&holdfast, &name);
        holdfast.restore_with(args!["--job", &name, "--in-place", "--replace", policy], 0);
        assert_eq!(
            (
                text(&source, "older").as_str(),
                text(&source, "newer").as_str()
            ),
            (older, newer),
            "{policy}"
        );
        assert_eq!(text(&source, "absent"), "stored", "{policy}");
        assert_eq!(text(&source, "extra"), "not in the backup", "{policy}");
    }
}

#[test]
fn never_touches_neither_content_nor_attributes_of_anything_that_was_there() {
    let holdfast = shared::installation();
    let source = changed(&holdfast, "never");
    let root = Folder::open(&source);
    root.mode(b".", 0o711);
    root.owner(b".", 33, 33);
    let stat = |name: &[u8]| {
        let s = root.stat(name).unwrap();
        (
            s.st_mode,
            s.st_uid,
            s.st_mtime,
            s.st_mtime_nsec,
            s.st_ino,
            s.st_size,
        )
    };
    let names: [&[u8]; 4] = [b"older", b"newer", b"same", b"extra"];
    let before: Vec<_> = names.iter().map(|name| stat(name)).collect();
    let folder = root.stat(b".").unwrap();
    holdfast.restore_with(
        args!["--job", "never", "--in-place", "--replace", "never"],
        0,
    );
    assert_eq!(
        before,
        names.iter().map(|name| stat(name)).collect::<Vec<_>>()
    );
    let now = root.stat(b".").unwrap();
    assert_eq!((folder.st_mode, folder.st_uid), (now.st_mode, now.st_uid));
}

/// Into a folder of the test's own, never in place: a mistake in what is removed must not reach the machine.
#[test]
fn exact_removes_what_was_not_there_in_restored_folders_only() {
    let holdfast = shared::installation();
    let source = changed(&holdfast, "exact");
    let to = holdfast.scratch("exact-to");
    let place = restored(&to, &source);
    std::fs::create_dir_all(place.join("extra-folder/below")).unwrap();
    std::fs::write(place.join("extra-folder/below/x"), "x").unwrap();
    let beside = place.with_file_name("beside");
    std::fs::write(&beside, "beside").unwrap();
    let top = to.join("top");
    std::fs::write(&top, "at the top").unwrap();
    holdfast.restore_with(args!["--job", "exact", "--to", &to, "--exact"], 0);
    let names = Folder::open(&place).names().unwrap();
    let expected = ["absent", "newer", "older", "same"].map(|name| name.as_bytes().to_vec());
    assert_eq!(names, expected);
    assert!(
        beside.exists() && top.exists(),
        "folders above the include are not restored, so nothing is removed there"
    );
}

#[test]
fn a_running_program_and_a_file_with_another_name_keep_what_they_had() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("in-use");
    let root = Folder::open(&source);
    std::fs::copy("/bin/sleep", source.join("program")).unwrap();
    root.file(b"linked", b"stored");
    holdfast.job_over("in-use", &source);
    holdfast.backup("in-use", 0);
    root.remove(b"linked");
    root.file(b"linked", b"on disk");
    let outside = holdfast.scratch("in-use-outside");
    std::fs::hard_link(source.join("linked"), outside.join("other-name")).unwrap();
    let mut running = std::process::Command::new(source.join("program"))
        .arg("60")
        .spawn()
        .unwrap();
    holdfast.restore_with(args!["--job", "in-use", "--in-place"], 0);
    assert!(running.try_wait().unwrap().is_none());
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(text(&source, "linked"), "stored");
    assert_eq!(
        text(&outside, "other-name"),
        "on disk",
        "the other name of the old file is not ours"
    );
}

#[test]
fn a_kind_in_the_way_is_replaced_or_refused_and_never_followed() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("kinds");
    let root = Folder::open(&source);
    root.file(b"file", b"stored");
    root.folder(b"folder").file(b"x", b"x");
    root.symlink(b"link", b"file");
    holdfast.job_over("kinds", &source);
    holdfast.backup("kinds", 0);
    root.remove(b"file");
    root.folder(b"file");
    root.remove(b"link");
    root.file(b"link", b"a file now");
    std::fs::remove_dir_all(source.join("folder")).unwrap();
    root.file(b"folder", b"a file now");
    holdfast.restore_with(args!["--job", "kinds", "--in-place"], 0);
    assert_eq!(text(&source, "file"), "stored");
    assert_eq!(text(&source, "folder/x"), "x");
    assert_eq!(root.target(b"link").unwrap(), b"file");
}
