//! Commit, seal and label: round trip, golden bytes, hostile bytes.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::format::label::{Holds, Label};
use proptest::prelude::*;
use uuid::Uuid;

fn commit() -> Commit {
    Commit {
        before: Some(CommitPlace { unit: 5, ids: 6 }),
        others: vec![8],
        blocks: vec![
            CommittedBlock {
                unit: 1,
                units: 2,
                kind: Kind::Segment,
                ids: vec![ChunkId::of(b"a"), ChunkId::of(b"b")],
            },
            CommittedBlock {
                unit: 3,
                units: 1,
                kind: Kind::Pages,
                ids: vec![ChunkId::of(b"c")],
            },
        ],
    }
}

fn label() -> Label {
    Label {
        number: 7,
        uuid: Uuid::from_u128(1),
        holds: Holds::Pages,
        pool: "main".into(),
        created_ms: 1_700_000_000_000,
        storage: Uuid::from_u128(2),
    }
}

#[test]
fn commit_bytes_of_version_1() {
    let golden = include_str!("../../tests/golden/commit-v1.hex");
    assert_eq!(hex::encode(commit().to_bytes()), golden.trim());
    assert_eq!(commit().to_bytes().len(), Commit::payload_bytes(1, 2, 3));
    assert_eq!(Commit::from_bytes(&commit().to_bytes()).unwrap(), commit());
}

#[test]
fn label_bytes_of_version_1() {
    let golden = include_str!("../../tests/golden/label-v1.hex");
    assert_eq!(hex::encode(label().to_bytes()), golden.trim());
    assert_eq!(Label::from_bytes(&label().to_bytes()).unwrap(), label());
    assert_eq!(label().name(), "pages-000007");
}

#[test]
fn a_seal_fills_its_block_and_is_found_from_the_end() {
    for commits in [0, 1, 499, 500, 501, 5000] {
        let seal = Seal {
            commits: (0..commits)
                .map(|n| CommitPlace { unit: n, ids: n })
                .collect(),
            others: vec![9; 3],
        };
        let bytes = seal.to_bytes(81920);
        assert!((bytes.len() + HEADER_BYTES).is_multiple_of(4096));
        let footer = bytes.last_chunk::<FOOTER_BYTES>().unwrap();
        assert_eq!(Seal::offset_from_footer(footer), Some(81920));
        assert_eq!(Seal::from_bytes(&bytes).unwrap(), seal);
    }
    assert_eq!(Seal::offset_from_footer(&[0; 16]), None);
}

#[test]
fn truncated_commits_are_refused() {
    let bytes = commit().to_bytes();
    for len in 0..bytes.len() {
        assert!(Commit::from_bytes(&bytes[..len]).is_err(), "cut at {len}");
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Commit::from_bytes(&bytes);
        let _ = Seal::from_bytes(&bytes);
        let _ = Label::from_bytes(&bytes);
        let mut labelled = b"HFVL\x01".to_vec();
        labelled.extend_from_slice(&bytes);
        let _ = Label::from_bytes(&labelled);
    }
}
