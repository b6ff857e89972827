//! Files by their content: of each size around a border, compressible and not, twice the same.

use crate::folder::Folder;
use crate::seed::Seed;

/// Sizes around borders of pages, blocks and chunks, in bytes.
const SIZES: [usize; 14] = [
    0, 1, 511, 512, 4095, 4096, 4097, 16_383, 65_536, 65_537, 262_143, 262_145, 1_048_577,
    9_437_189,
];

/// Makes them.
pub fn make(root: &Folder, seed: &Seed) {
    let mut seed = seed.fork("content");
    for size in SIZES {
        root.file(format!("random-{size}").as_bytes(), &seed.bytes(size));
        root.file(format!("text-{size}").as_bytes(), &seed.text(size));
    }
    let twice = seed.bytes(700_000);
    root.file(b"twice-1", &twice);
    root.file(b"twice-2", &twice);
    root.file(b"zeros", &vec![0; 300_000]);
    root.folder(b"empty");
    let mut folder = root.folder(b"nested");
    for level in 0..20 {
        folder.file(b"file", &seed.text(level * 37));
        folder = folder.folder(b"below");
    }
}
