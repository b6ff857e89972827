//! Damages stored files without knowing what they are: flips bits, cuts, swaps blocks, fills with zeros, from a seed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::seed::Seed;

/// Unit of swaps and fills.
const BLOCK: u64 = 4096;

/// One damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit.
    Flip,
    /// The end is gone.
    Cut,
    /// Two blocks of 4 KiB change places.
    Swap,
    /// A block of 4 KiB is zeros.
    Zero,
    /// Bytes at the end that were never written.
    Append,
}

/// What was done where, for the report of a failure.
#[derive(Debug, Clone)]
pub struct Done {
    /// The file.
    pub path: PathBuf,
    /// What.
    pub damage: Damage,
    /// First byte of it.
    pub offset: u64,
}

/// Damages one of the files below `folder` whose name ends in `ending` (empty: any).
///
/// # Panics
/// When there is no such file of more than two blocks.
pub fn damage(folder: &Path, ending: &str, damage: Damage, seed: &mut Seed) -> Done {
    let mut files = files(folder);
    files.retain(|(path, len)| {
        path.to_str().is_some_and(|p| p.ends_with(ending)) && *len > 2 * BLOCK
    });
    assert!(
        !files.is_empty(),
        "no file *{ending} to damage in {}",
        folder.display()
    );
    let (path, len) = seed.pick(&files).clone();
    let offset = apply(&path, len, damage, seed);
    let done = Done {
        path,
        damage,
        offset,
    };
    eprintln!("corrupter: {done:?}");
    done
}

/// Flips one bit of the byte at `offset`.
///
/// # Panics
/// When the file is shorter.
pub fn flip(path: &Path, offset: u64, bit: u8) {
    let file = writable(path);
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)
        .expect("the byte is there");
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, offset)
        .expect("the byte can be written");
}

fn apply(path: &Path, len: u64, damage: Damage, seed: &mut Seed) -> u64 {
    let block_at = |seed: &mut Seed| seed.below(len / BLOCK) * BLOCK;
    match damage {
        Damage::Flip => {
            let offset = seed.below(len);
            flip(path, offset, u8::try_from(seed.below(8)).expect("below 8"));
            offset
        }
        Damage::Cut => {
            let offset = seed.below(len);
            writable(path).set_len(offset).expect("cut");
            offset
        }
        Damage::Swap => {
            let (a, b) = (block_at(seed), block_at(seed));
            swap(&writable(path), a, b);
            a
        }
        Damage::Zero => {
            let offset = block_at(seed);
            writable(path)
                .write_all_at(&[0; 4096], offset)
                .expect("zero");
            offset
        }
        Damage::Append => {
            let bytes = seed.bytes(5000);
            writable(path).write_all_at(&bytes, len).expect("append");
            len
        }
    }
}

fn swap(file: &File, a: u64, b: u64) {
    let (mut x, mut y) = ([0; 4096], [0; 4096]);
    file.read_exact_at(&mut x, a).expect("a whole block");
    file.read_exact_at(&mut y, b).expect("a whole block");
    file.write_all_at(&y, a).expect("swap");
    file.write_all_at(&x, b).expect("swap");
}

fn writable(path: &Path) -> File {
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap_or_else(|e| panic!("open {}: {e}", path.display()))
}

/// All files below `folder` with their lengths, sorted.
///
/// # Panics
/// When it cannot be listed.
#[must_use]
pub fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("list {}: {e}", folder.display()))
        {
            let entry = entry.expect("list");
            let metadata = entry.metadata().expect("stat");
            if metadata.is_dir() {
                open.push(entry.path());
            } else if metadata.is_file() {
                found.push((entry.path(), metadata.len()));
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_damage_changes_the_file_and_a_seed_repeats_it() {
        for kind in [
            Damage::Flip,
            Damage::Cut,
            Damage::Zero,
            Damage::Append,
            Damage::Swap,
        ] {
            let spoil = || {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("v.data");
                std::fs::write(&path, Seed::new(5).bytes(40_000)).unwrap();
                damage(dir.path(), ".data", kind, &mut Seed::new(9));
                std::fs::read(path).unwrap()
            };
            assert_ne!(spoil(), Seed::new(5).bytes(40_000), "{kind:?}");
            assert_eq!(spoil(), spoil(), "{kind:?}");
        }
    }
}
