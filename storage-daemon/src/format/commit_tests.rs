//! Commit, seal and label: round trip, golden bytes, hostile bytes.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::format::label::{Holds, Label};
use proptest::prelude::*;
use uuid::Uuid;

fn block(unit: u32, kind: Kind, ids: &[&[u8]]) -> CommittedBlock {
    CommittedBlock {
        unit,
        units: 2,
        kind,
        slots: ids.len() as u32,
        checksum: 0xcafe_0000 + unit,
        ids: ids.iter().map(|id| ChunkId::of(id)).collect(),
    }
}

fn commit() -> Commit {
    let by_reference = CommittedBlock {
        slots: MAX_LISTED + 1,
        ids: Vec::new(),
        ..block(300, Kind::Segment, &[])
    };
    Commit {
        before: Some(5),
        others: vec![8, 200],
        blocks: vec![
            block(9, Kind::Segment, &[b"a", b"b"]),
            block(11, Kind::Pages, &[b"c"]),
            by_reference,
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
    assert!(commit().to_bytes().len() <= Commit::most_bytes(2, 3, 3));
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
            commits: (0..commits).map(|n| 7 + n * 500).collect(),
            others: vec![9, 10, 11],
        };
        let bytes = seal.to_bytes(81920);
        assert!((bytes.len() + HEADER_BYTES).is_multiple_of(4096));
        let most = Seal::most_stored_bytes(commits as usize, 3);
        assert!((bytes.len() + HEADER_BYTES) as u64 <= most);
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

#[test]
fn ids_are_listed_up_to_64_and_the_most_lines_fit_their_bound() {
    for slots in [1u32, MAX_LISTED, MAX_LISTED + 1, MAX_SLOTS as u32] {
        let ids: Vec<ChunkId> = (0..slots).map(|n| ChunkId::of(&n.to_le_bytes())).collect();
        let whole = CommittedBlock {
            unit: u32::MAX - 70_000,
            units: u16::MAX,
            slots,
            ids: ids.clone(),
            ..block(0, Kind::Pages, &[])
        };
        let commit = Commit {
            blocks: vec![whole],
            ..Commit::default()
        };
        let listed = if slots <= MAX_LISTED { ids } else { Vec::new() };
        let bytes = commit.to_bytes();
        assert!(bytes.len() <= Commit::most_bytes(0, 1, listed.len()));
        assert_eq!(Commit::from_bytes(&bytes).unwrap().blocks[0].ids, listed);
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
