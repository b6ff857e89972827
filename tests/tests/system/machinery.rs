//! The tests' own tools see what they must: a comparison that missed a difference would pass everything.

use std::path::Path;

use tests::compare::{self, Compare};
use tests::folder::{Folder, remove_tree};
use tests::postgres;
use tests::seed::Seed;
use tests::tree::{everything, mutate, plain};

/// Two folders that are removed at the end, whatever is in them.
struct Pair(tempfile::TempDir);

impl Pair {
    fn new() -> Self {
        Self(
            tempfile::Builder::new()
                .prefix("holdfast-pair-")
                .tempdir_in(postgres::base())
                .unwrap(),
        )
    }
    fn one(&self) -> std::path::PathBuf {
        self.0.path().join("one")
    }
    fn two(&self) -> std::path::PathBuf {
        self.0.path().join("two")
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        remove_tree(self.0.path());
    }
}

fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp")
        .args(["-a", "--sparse=auto"])
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(done.success());
}

#[test]
fn a_seed_makes_the_same_tree_twice_and_days_of_work_too() {
    let pair = Pair::new();
    for path in [pair.one(), pair.two()] {
        everything::make(&path, &Seed::new(7));
        mutate::mutate(&path, &Seed::new(8), 1);
    }
    // Files without a time of their own carry the time they were made at.
    let found = compare::differences(&pair.one(), &pair.two(), Compare::NoTimes);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_tree_is_the_same_as_itself_and_reading_leaves_no_trace() {
    let pair = Pair::new();
    everything::make(&pair.one(), &Seed::new(7));
    let before = compare::accessed(&pair.one());
    compare::assert_same(&pair.one(), &pair.one());
    assert_eq!(before, compare::accessed(&pair.one()));
}

#[test]
fn each_change_of_a_file_is_seen() {
    for change in mutate::CHANGES {
        let pair = Pair::new();
        let shape = plain::Plain {
            folders: 1,
            files: 3,
            size_bytes: 500,
        };
        plain::make(&pair.one(), &Seed::new(1), shape);
        copy(&pair.one(), &pair.two());
        compare::assert_same(&pair.one(), &pair.two());
        mutate::apply(
            &pair.two().join("folder-0000/file-00001"),
            change,
            &mut Seed::new(2),
        );
        let found = compare::differences(&pair.one(), &pair.two(), Compare::Usual);
        assert!(!found.is_empty(), "{change:?}");
    }
}

#[test]
fn holes_links_and_attributes_are_compared() {
    let pair = Pair::new();
    let one = Folder::make(&pair.one());
    tests::tree::sparse::sparse(&one, b"sparse", &[(0, vec![1; 4096])], 1 << 20);
    one.file(b"a", b"x");
    one.link(b"b", &one, b"a");
    one.file(b"attribute", b"x");
    one.xattr(b"attribute", "user.x", b"1");
    copy(&pair.one(), &pair.two());
    compare::assert_same(&pair.one(), &pair.two());
    let two = Folder::open(&pair.two());
    std::fs::write(
        pair.two().join("sparse"),
        std::fs::read(pair.one().join("sparse")).unwrap(),
    )
    .unwrap();
    two.remove(b"b");
    two.file(b"b", b"x");
    two.xattr(b"attribute", "user.x", b"2");
    let found = compare::differences(&pair.one(), &pair.two(), Compare::Usual).join("\n");
    for part in [
        "sparse: 4096 bytes in 1 extents",
        "hard links differ",
        "attribute: attribute user.x differs",
    ] {
        assert!(found.contains(part), "{part} expected in {found}");
    }
}
