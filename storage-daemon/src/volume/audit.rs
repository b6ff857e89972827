//! Reads every block of a volume and checks everything that needs no key: headers, places, order, checksums, and that
//! each chunk and page is what its name says.

use common::object::segment::{Segment, Slot};
use uuid::Uuid;

use super::scan::{Damage, read_head};
use crate::device::{DeviceError, VolumeFile};
use crate::format::block::{ALIGN, BlockError, Header, Kind};

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Whole blocks.
    pub blocks: u64,
    /// Chunks and pages.
    pub ids: u64,
    /// Whether it ends with a seal.
    pub is_sealed: bool,
    /// What is wrong, in volume order.
    pub damage: Vec<Damage>,
}

/// Reads all of a volume.
///
/// # Errors
/// The device cannot be read. What is wrong with the bytes is in the result.
pub fn audit(file: &dyn VolumeFile, volume: Uuid) -> Result<Audit, DeviceError> {
    let bytes = file.bytes()?;
    let mut audit = Audit::default();
    let (mut offset, mut sequence, mut previous) = (0, 0, Some(0));
    let mut plain = Vec::new();
    while offset < bytes {
        let (header, slots) = match read_head(file, volume, offset)? {
            Ok(found) => found,
            Err(error) => {
                if previous.take().is_some() {
                    audit.damage.push(Damage {
                        offset,
                        reason: error.to_string(),
                    });
                }
                offset += ALIGN;
                continue;
            }
        };
        let in_order = header.place.sequence >= sequence
            && previous.is_none_or(|p| header.check_follows(sequence, p).is_ok());
        let reason = if in_order {
            check(file, &header, slots, &mut plain)?
        } else {
            Some(BlockError::OtherSequence(header.place.sequence).to_string())
        };
        match reason {
            Some(reason) => audit.damage.push(Damage { offset, reason }),
            None => {
                audit.blocks += 1;
                audit.ids += u64::from(header.slots);
                audit.is_sealed = header.kind == Kind::Seal && header.end() == bytes;
            }
        }
        offset = header.end();
        sequence = header.place.sequence + 1;
        previous = Some(header.checksum);
    }
    Ok(audit)
}

/// What is wrong with a block whose head is whole.
fn check(
    file: &dyn VolumeFile,
    header: &Header,
    slots: Vec<Slot>,
    plain: &mut Vec<u8>,
) -> Result<Option<String>, DeviceError> {
    let mut rest = vec![0; header.stored_bytes() as usize - header.head_bytes()];
    let at = header.place.offset + header.head_bytes() as u64;
    let got = file.read(at, &mut rest)?;
    rest.truncate(got);
    let padding = rest.split_off((header.payload_bytes as usize).min(rest.len()));
    if let Err(error) = header.check_payload(&rest) {
        return Ok(Some(error.to_string()));
    }
    if padding.iter().any(|b| *b != 0) {
        return Ok(Some("bytes behind the payload are not zero".to_owned()));
    }
    if !header.kind.has_slots() {
        return Ok(None);
    }
    let segment = Segment {
        codec: header.codec,
        slots,
        payload: rest.into(),
    };
    Ok(segment.open(plain).err().map(|error| error.to_string()))
}
