//! One of each: the tree that a backup must bring back to the last attribute.

use std::path::Path;

use super::{attributes, content, links, names, sparse, special, times};
use crate::folder::Folder;
use crate::seed::Seed;

/// Makes the tree at `path`, which is made when missing.
///
/// # Panics
/// When the user is not root, or the file system lacks something.
pub fn make(path: &Path, seed: &Seed) {
    assert_root();
    let root = Folder::make(path);
    content::make(&root.folder(b"content"), seed);
    names::odd(&root.folder(b"names"));
    names::deep(&root.folder(b"deep"), 5_000, b"d");
    names::deep(&root.folder(b"beyond"), 20, &[b'L'; 248]);
    names::wide(&root.folder(b"wide"), 2_000);
    sparse::make(&root.folder(b"sparse"), seed);
    links::make(&root.folder(b"links"), seed);
    special::make(&root.folder(b"special"));
    attributes::make(&root.folder(b"attributes"), seed);
    attributes::flags(&root.folder(b"flags"));
    // Last: making something in a folder changes its times.
    times::make(&root.folder(b"times"));
    times::settle(&root, b"content");
    times::settle(&root, b"links");
}

/// Owners, devices and some attributes can only be made by root; such a test fails elsewhere instead of skipping.
///
/// # Panics
/// When the user is not root.
#[track_caller]
pub fn assert_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes owners, devices and mounts: run it as root"
    );
}
