//! Sparse files: holes in the middle, first, last, everywhere; zeros that are allocated all the same.

use std::os::unix::fs::FileExt;

use crate::folder::Folder;
use crate::seed::Seed;

const MIB: u64 = 1 << 20;

/// Makes them.
pub fn make(root: &Folder, seed: &Seed) {
    let mut seed = seed.fork("sparse");
    sparse(
        root,
        b"hole-in-the-middle",
        &[(0, seed.bytes(65_536)), (48 * MIB, seed.bytes(65_536))],
        64 * MIB,
    );
    sparse(
        root,
        b"hole-first",
        &[(32 * MIB, seed.bytes(4096))],
        32 * MIB + 4096,
    );
    sparse(root, b"hole-last", &[(0, seed.bytes(8192))], 16 * MIB);
    sparse(root, b"all-hole", &[], 128 * MIB);
    sparse(
        root,
        b"hole-of-odd-end",
        &[(4096, seed.bytes(100))],
        5 * MIB + 1,
    );
    let many: Vec<_> = (0..200)
        .map(|i| (i * 64 * 1024, seed.bytes(4096)))
        .collect();
    sparse(root, b"many-holes", &many, 200 * 64 * 1024);
    root.file(b"zeros-allocated", &vec![0; 4 << 20]);
}

/// A file of `len` bytes with data at these places and holes between.
#[track_caller]
pub fn sparse(root: &Folder, name: &[u8], parts: &[(u64, Vec<u8>)], len: u64) {
    let file = root.file(name, b"");
    file.set_len(len).expect("a sparse file can be made");
    for (offset, bytes) in parts {
        file.write_all_at(bytes, *offset)
            .expect("a sparse file can be written");
    }
}
