//! Cut points are a stored format: they are held still here.
#![allow(clippy::unwrap_used)]

use super::*;

fn noise(len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new()
        .update(b"noise")
        .finalize_xof()
        .fill(&mut out);
    out
}

fn cut_all(chunker: &Chunker, data: &[u8]) -> Vec<usize> {
    let (mut at, mut cuts) = (0, Vec::new());
    while at < data.len() {
        let end = data.len().min(at + chunker.max_bytes());
        at += chunker.first(&data[at..end]);
        cuts.push(at);
    }
    cuts
}

#[test]
fn cut_points_of_version_1_never_move() {
    let chunker = Chunker::new(Cut {
        version: 1,
        avg_log2: 18,
    })
    .unwrap();
    let cuts = cut_all(&chunker, &noise(8 << 20));
    let digest = blake3::hash(format!("{cuts:?}").as_bytes()).to_hex();
    assert_eq!(
        &digest[..16],
        "ea6b28f7c30895a0",
        "{} cuts: {cuts:?}",
        cuts.len()
    );
}

#[test]
fn an_insertion_moves_few_boundaries() {
    let chunker = Chunker::new(cut_for_size(1 << 20)).unwrap();
    let data = noise(32 << 20);
    let before = cut_all(&chunker, &data);
    let mean = data.len() / before.len();
    assert!((150 << 10..400 << 10).contains(&mean), "mean {mean}");
    let mut changed = data;
    changed.splice(5_000_000..5_000_000, [1, 2, 3]);
    let after = cut_all(&chunker, &changed);
    let moved = after
        .iter()
        .filter(|&&c| c > 5_000_000 && !before.contains(&(c - 3)))
        .count();
    assert!(moved <= 4, "{moved} boundaries moved");
}

#[test]
fn the_average_grows_with_the_file_and_stays_known() {
    for (size, log) in [
        (0, 18),
        (16 << 30, 19),
        ((16 << 30) - 1, 18),
        (100 << 30, 21),
        (1 << 40, 22),
        (u64::MAX, 22),
    ] {
        assert_eq!(cut_for_size(size).avg_log2, log, "{size}");
    }
    assert!(
        Chunker::new(Cut {
            version: 2,
            avg_log2: 18
        })
        .is_none()
    );
    assert!(
        Chunker::new(Cut {
            version: 1,
            avg_log2: 30
        })
        .is_none()
    );
}
