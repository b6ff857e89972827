//! Golden bytes, every truncation and bit flip, misplaced blocks.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use common::ids::ChunkId;
use proptest::prelude::*;

fn sample() -> (Header, Vec<u8>, Vec<u8>) {
    let payload = b"hello, volume".to_vec();
    let slots = [
        Slot {
            id: ChunkId::of(b"hello, "),
            len: 7,
        },
        Slot {
            id: ChunkId::of(b"volume"),
            len: 6,
        },
    ];
    let head = Head {
        kind: Kind::Segment,
        codec: Codec::Stored,
        session: SessionId(9),
        slots: &slots,
    };
    let place = Place {
        volume: Uuid::from_u128(0x1122_3344),
        offset: 8192,
        sequence: 2,
        previous: 0xdead_beef,
    };
    let (header, head) = encode(head, place, &payload);
    (header, head, payload)
}

/// What a reader does with a block found at offset 8192 behind block 1.
fn read(bytes: &[u8]) -> Result<Header, BlockError> {
    let header = Header::parse(bytes)?;
    header.check(bytes)?;
    header.check_place(Uuid::from_u128(0x1122_3344), 8192)?;
    header.check_follows(2, 0xdead_beef)?;
    let payload = bytes
        .get(header.head_bytes()..)
        .and_then(|rest| rest.get(..header.payload_bytes as usize))
        .ok_or(DecodeError::Truncated { what: "payload" })?;
    header.check_payload(payload).map(|()| header)
}

#[test]
fn bytes_of_version_1() {
    let (_, head, payload) = sample();
    let golden = include_str!("../../tests/golden/segment-block-v1.hex");
    assert_eq!(hex::encode([head, payload].concat()), golden.trim());
}

#[test]
fn a_block_reads_back() {
    let (header, head, payload) = sample();
    let bytes = [head, payload].concat();
    assert_eq!(read(&bytes).unwrap(), header);
    assert_eq!(header.stored_bytes(), 4096);
    assert_eq!(header.end(), 12288);
    assert_eq!(header.check(&bytes).unwrap().len(), 2);
}

#[test]
fn every_bit_flip_and_truncation_is_found() {
    let (_, head, payload) = sample();
    let bytes = [head, payload].concat();
    for at in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[at / 8] ^= 1 << (at % 8);
        assert!(read(&bad).is_err(), "bit {at}");
    }
    for len in 0..bytes.len() {
        assert!(read(&bytes[..len]).is_err(), "cut at {len}");
    }
}

#[test]
fn a_misplaced_block_is_found() {
    let (header, ..) = sample();
    let volume = header.place.volume;
    for (got, want) in [
        (
            header.check_place(Uuid::nil(), 8192),
            Err(BlockError::OtherVolume(volume)),
        ),
        (
            header.check_place(volume, 4096),
            Err(BlockError::OtherOffset(8192)),
        ),
        (
            header.check_follows(3, 0xdead_beef),
            Err(BlockError::OtherSequence(2)),
        ),
        (
            header.check_follows(2, 1),
            Err(BlockError::OtherSequence(2)),
        ),
        (header.check_place(volume, 8192), Ok(())),
    ] {
        assert_eq!(got, want);
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let mut with_magic = b"HFBL\x01\x02\x00\x00".to_vec();
        with_magic.extend_from_slice(&bytes);
        let _ = read(&with_magic);
    }
}
