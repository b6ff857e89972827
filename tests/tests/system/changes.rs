//! What other programs overlook: each change alone between two runs, and what the catalog then says.

use std::path::Path;

use tests::compare::assert_same;
use tests::folder::Folder;
use tests::installation::restored;
use tests::seed::Seed;
use tests::tree::mutate::{self, Change};
use tests::tree::settled::wait_until_settled;

use crate::shared;

/// A small tree: three files and a folder with two.
fn tree(path: &Path) {
    let root = Folder::open(path);
    for name in ["one", "two", "three"] {
        root.file(name.as_bytes(), &Seed::new(5).fork(name).bytes(5000));
    }
    let folder = root.folder(b"folder");
    folder.file(b"x", b"x\n");
    folder.file(b"y", b"y\n");
}

/// Backs up, lets `change` happen, backs up as Incremental, restores and compares.
#[track_caller]
fn round(name: &str, change: impl FnOnce(&Path)) -> serde_json::Value {
    let holdfast = shared::installation();
    let source = holdfast.scratch(name);
    tree(&source);
    holdfast.job_over(name, &source);
    wait_until_settled(&source);
    holdfast.backup(name, 0);
    change(&source);
    let run = holdfast.backup(name, 0);
    assert_eq!(run["level"], "incremental");
    let to = holdfast.absent(name);
    holdfast.restore(name, &to);
    assert_same(&source, &restored(&to, &source));
    run["counts"].clone()
}

#[test]
fn content_rewritten_with_size_and_mtime_put_back_is_noticed() {
    let counts = round("disguise", |source| {
        mutate::apply(&source.join("two"), Change::Disguise, &mut Seed::new(6));
    });
    assert_eq!(
        (&counts["files_read"], &counts["changed_entries"]),
        (&1.into(), &1.into()),
        "{counts}"
    );
}

#[test]
fn a_deleted_file_and_a_deleted_folder_are_gone() {
    let counts = round("deleted", |source| {
        std::fs::remove_file(source.join("one")).unwrap();
        std::fs::remove_dir_all(source.join("folder")).unwrap();
    });
    assert_eq!(
        (&counts["files"], &counts["read_bytes"]),
        (&2.into(), &0.into()),
        "{counts}"
    );
}

#[test]
fn a_renamed_folder_is_recognised_and_not_read_again() {
    let counts = round("renamed", |source| {
        std::fs::rename(source.join("folder"), source.join("renamed")).unwrap();
    });
    assert_eq!(
        (&counts["files"], &counts["files_read"]),
        (&5.into(), &0.into()),
        "{counts}"
    );
}

#[test]
fn files_moved_in_with_old_times_are_saved() {
    let counts = round("moved-in", |source| {
        let outside = source.with_file_name("moved-in-outside");
        std::fs::create_dir(&outside).unwrap();
        let folder = Folder::open(&outside);
        folder.file(b"old", b"older than any backup");
        folder.times(b"old", (1_000_000_000, 1), (1_000_000_000, 1));
        std::fs::rename(&outside, source.join("moved-in")).unwrap();
    });
    assert_eq!(
        (&counts["files"], &counts["files_read"]),
        (&6.into(), &1.into()),
        "{counts}"
    );
}

#[test]
fn a_file_that_became_a_folder_and_the_reverse_and_links_are_right() {
    round("swapped", |source| {
        let root = Folder::open(source);
        mutate::apply(&source.join("one"), Change::ToFolder, &mut Seed::new(7));
        mutate::apply(&source.join("two"), Change::ToLink, &mut Seed::new(7));
        std::fs::remove_dir_all(source.join("folder")).unwrap();
        root.file(b"folder", b"now a file");
        root.remove(b"three");
        root.special(b"three", rustix::fs::FileType::Fifo, 0);
    });
}

#[test]
fn attributes_alone_are_saved_without_reading_content() {
    let counts = round("attributes-alone", |source| {
        mutate::apply(&source.join("one"), Change::Chmod, &mut Seed::new(8));
        mutate::apply(&source.join("two"), Change::Xattr, &mut Seed::new(8));
        mutate::apply(&source.join("three"), Change::Chown, &mut Seed::new(8));
    });
    let sent = counts["sent_bytes"].as_u64().unwrap();
    assert!(sent < 5000, "metadata only, {sent} bytes sent: {counts}");
}

#[test]
fn a_second_name_is_a_hard_link_and_a_removed_one_leaves_a_plain_file() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("link-counts");
    tree(&source);
    holdfast.job_over("link-counts", &source);
    let root = Folder::open(&source);
    for step in 0..3 {
        match step {
            0 => {}
            1 => root.link(b"again", &root, b"one"),
            _ => root.remove(b"one"),
        }
        holdfast.backup("link-counts", 0);
        let to = holdfast.absent(&format!("link-counts-{step}"));
        holdfast.restore("link-counts", &to);
        assert_same(&source, &restored(&to, &source));
    }
}

#[test]
fn each_kind_of_change_alone_is_right() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("each-change");
    let root = Folder::open(&source);
    for change in mutate::CHANGES {
        root.file(format!("{change:?}").as_bytes(), &Seed::new(9).bytes(3000));
    }
    holdfast.job_over("each-change", &source);
    holdfast.backup("each-change", 0);
    for change in mutate::CHANGES {
        mutate::apply(
            &source.join(format!("{change:?}")),
            change,
            &mut Seed::new(10),
        );
    }
    holdfast.backup("each-change", 0);
    let to = holdfast.absent("each-change");
    holdfast.restore("each-change", &to);
    assert_same(&source, &restored(&to, &source));
}
