//! Reads a volume from a known point to its end: what its commits name, its snapshots and notes, what is damaged, and
//! what a crash left behind the last commit.
//!
//! Invariants: nothing before the last commit is ever cut; a bad block with a later commit behind it is damage, without
//! one it starts the torn tail. Blocks that are intact but named by no commit are orphans: the store decides.

use std::collections::HashMap;

use uuid::Uuid;

use super::writer::{History, Tip};
use crate::device::{DeviceError, VolumeFile};
use crate::format::block::{ALIGN, BlockError, HEADER_BYTES, Header, Kind};
use crate::format::commit::{Commit, CommittedBlock, FOOTER_BYTES, Seal};
use common::object::segment::{SLOT_BYTES, Slot};

/// A stretch of a volume that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where it starts.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

/// What is told while reading, in volume order.
#[derive(Debug)]
pub enum Found {
    /// A commit block at this offset.
    Commit(u64, Commit),
    /// A snapshot.
    Snapshot(Vec<u8>),
    /// A note.
    Note(Vec<u8>),
}

/// What was found at the end of reading.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Where the next block goes; `None` when sealed.
    pub tip: Option<Tip>,
    /// For the seal to come.
    pub history: History,
    /// Damage with a later commit behind it.
    pub damage: Vec<Damage>,
    /// Start of the torn tail.
    pub torn: Option<Damage>,
    /// Intact blocks named by no commit (in the part that was read).
    pub orphans: Vec<CommittedBlock>,
    /// Highest session number seen.
    pub last_session: u64,
}

/// A block's head as found.
type HeadFound = Result<(Header, Vec<Slot>), BlockError>;

/// Reads one volume.
pub struct Scanner<'a> {
    file: &'a dyn VolumeFile,
    volume: Uuid,
    bytes: u64,
    tip: Tip,
    /// Heads since the last commit: orphans unless the next commit names them.
    loose: Vec<CommittedBlock>,
    /// Bad places since the last commit.
    bad: Vec<Damage>,
    /// Blocks were skipped: the next one's predecessor is not known.
    resync: bool,
    outcome: Outcome,
}

impl<'a> Scanner<'a> {
    /// Prepares to read `file`, the volume `volume`.
    ///
    /// # Errors
    /// Its size is not known.
    pub fn new(file: &'a dyn VolumeFile, volume: Uuid) -> Result<Self, DeviceError> {
        Ok(Self {
            file,
            volume,
            bytes: file.bytes()?,
            tip: Tip {
                offset: 0,
                sequence: 0,
                previous: 0,
            },
            loose: Vec::new(),
            bad: Vec::new(),
            resync: false,
            outcome: Outcome::default(),
        })
    }

    /// Reads from the start, or from the commit block at `from` (whose ids are known already) to the end.
    ///
    /// # Errors
    /// The device cannot be read. What is wrong with the bytes is in the outcome.
    pub fn run(
        mut self,
        from: Option<u64>,
        tell: &mut dyn FnMut(Found),
    ) -> Result<Outcome, DeviceError> {
        if let Some(from) = from {
            self.start_at_commit(from)?;
        }
        while self.tip.offset < self.bytes {
            let offset = self.tip.offset;
            match self.head(offset)? {
                Ok((header, slots)) if self.follows(&header) => {
                    if self.block(header, slots, tell)? {
                        return Ok(self.outcome);
                    }
                }
                Ok((header, _)) => {
                    let reason = BlockError::OtherSequence(header.place.sequence);
                    self.skip_bad(reason.to_string())?;
                }
                Err(error) => self.skip_bad(error.to_string())?,
            }
        }
        self.finish()
    }

    /// The commit before which everything is in the index: its chain gives the history.
    fn start_at_commit(&mut self, from: u64) -> Result<(), DeviceError> {
        let Ok((header, _)) = self.head(from)? else {
            return Ok(());
        };
        if header.kind != Kind::Commit {
            return Ok(());
        }
        let mut history = History::default();
        let mut at = Some((from / ALIGN) as u32);
        while let Some(unit) = at {
            let Some(commit) = self.commit_at(u64::from(unit) * ALIGN)? else {
                return Ok(());
            };
            history.commits.push(unit);
            history.others.extend(commit.others.iter().rev());
            at = commit.before.filter(|before| *before < unit);
        }
        history.commits.reverse();
        history.others.reverse();
        self.outcome.history = history;
        self.advance(&header);
        Ok(())
    }

    fn commit_at(&self, offset: u64) -> Result<Option<Commit>, DeviceError> {
        let Ok((header, _)) = self.head(offset)? else {
            return Ok(None);
        };
        let payload = self.payload(&header)?;
        Ok(payload
            .ok()
            .and_then(|p| Commit::from_bytes(&p).ok())
            .filter(|_| header.kind == Kind::Commit))
    }

    fn head(&self, offset: u64) -> Result<HeadFound, DeviceError> {
        read_head(self.file, self.volume, offset)
    }

    fn payload(&self, header: &Header) -> Result<Result<Vec<u8>, BlockError>, DeviceError> {
        let mut payload = vec![0; header.payload_bytes as usize];
        let at = header.place.offset + header.head_bytes() as u64;
        let got = self.file.read(at, &mut payload)?;
        payload.truncate(got);
        Ok(header.check_payload(&payload).map(|()| payload))
    }

    /// Behind a bad place the sequence has jumped, but never back.
    fn follows(&self, header: &Header) -> bool {
        if self.resync {
            return header.place.sequence >= self.tip.sequence;
        }
        header
            .check_follows(self.tip.sequence, self.tip.previous)
            .is_ok()
    }

    fn advance(&mut self, header: &Header) {
        self.resync = false;
        self.tip = Tip {
            offset: header.end(),
            sequence: header.place.sequence + 1,
            previous: header.checksum,
        };
        self.outcome.last_session = self.outcome.last_session.max(header.session.0);
    }

    /// Takes a block in; true = it was the seal.
    fn block(
        &mut self,
        header: Header,
        slots: Vec<Slot>,
        tell: &mut dyn FnMut(Found),
    ) -> Result<bool, DeviceError> {
        if header.kind.has_slots() {
            self.loose.push(CommittedBlock {
                unit: (header.place.offset / ALIGN) as u32,
                units: (header.stored_bytes() / ALIGN) as u16,
                kind: header.kind,
                slots: header.slots,
                checksum: header.checksum,
                ids: slots.into_iter().map(|s| s.id).collect(),
            });
            self.advance(&header);
            return Ok(false);
        }
        let payload = match self.payload(&header)? {
            Ok(payload) => payload,
            Err(error) => {
                self.bad.push(Damage {
                    offset: header.place.offset,
                    reason: error.to_string(),
                });
                self.advance(&header);
                return Ok(false);
            }
        };
        let unit = (header.place.offset / ALIGN) as u32;
        match header.kind {
            Kind::Commit => match Commit::from_bytes(&payload) {
                Ok(commit) => self.committed(header.place.offset, commit, tell),
                Err(error) => self.bad.push(Damage {
                    offset: header.place.offset,
                    reason: error.to_string(),
                }),
            },
            Kind::Snapshot | Kind::Note => {
                // It was synced after all before it: as good a proof as a commit.
                self.confirm_damage();
                self.outcome.history.new_others.push(unit);
                let found = if header.kind == Kind::Note {
                    Found::Note
                } else {
                    Found::Snapshot
                };
                tell(found(payload));
            }
            Kind::Seal => {
                self.confirm_damage();
                self.outcome.orphans.append(&mut self.loose);
                self.outcome.last_session = self.outcome.last_session.max(header.session.0);
                return Ok(true);
            }
            Kind::Label | Kind::Segment | Kind::Pages => {}
        }
        self.advance(&header);
        Ok(false)
    }

    fn committed(&mut self, offset: u64, mut commit: Commit, tell: &mut dyn FnMut(Found)) {
        self.confirm_damage();
        let loose = std::mem::take(&mut self.loose);
        let mut heads: HashMap<u32, CommittedBlock> =
            loose.into_iter().map(|b| (b.unit, b)).collect();
        commit.blocks.retain_mut(|block| {
            let head = heads.remove(&block.unit);
            if block.is_listed() {
                return true;
            }
            let head = head.filter(|head| head.checksum == block.checksum);
            block.ids = head.map(|head| head.ids).unwrap_or_default();
            if block.ids.is_empty() {
                self.outcome.damage.push(Damage {
                    offset: u64::from(block.unit) * ALIGN,
                    reason: "the block that a commit names is not here".to_owned(),
                });
            }
            !block.ids.is_empty()
        });
        let mut orphans: Vec<_> = heads.into_values().collect();
        orphans.sort_by_key(|block| block.unit);
        self.outcome.orphans.append(&mut orphans);
        let history = &mut self.outcome.history;
        history.commits.push((offset / ALIGN) as u32);
        history.others.append(&mut history.new_others);
        tell(Found::Commit(offset, commit));
    }

    fn confirm_damage(&mut self) {
        self.outcome.damage.append(&mut self.bad);
    }

    /// Looks for the next block that stands where it was written.
    fn skip_bad(&mut self, reason: String) -> Result<(), DeviceError> {
        let start = self.tip.offset;
        self.bad.push(Damage {
            offset: start,
            reason,
        });
        let mut at = start + ALIGN;
        while at < self.bytes {
            if let Ok((header, _)) = self.head(at)?
                && header.place.sequence >= self.tip.sequence
            {
                break;
            }
            at += ALIGN;
        }
        self.tip.offset = at.min(self.bytes);
        self.resync = true;
        Ok(())
    }

    /// The end without a seal: what is bad since the last commit is the torn tail.
    fn finish(mut self) -> Result<Outcome, DeviceError> {
        let mut torn = self.bad.first().cloned();
        for block in &self.loose {
            let offset = u64::from(block.unit) * ALIGN;
            if torn.as_ref().is_some_and(|t| t.offset <= offset) {
                break;
            }
            let Ok((header, _)) = self.head(offset)? else {
                continue;
            };
            if let Err(error) = self.payload(&header)? {
                torn = Some(Damage {
                    offset,
                    reason: error.to_string(),
                });
                break;
            }
        }
        let end = torn.as_ref().map_or(self.tip.offset, |t| t.offset);
        self.loose.retain(|b| u64::from(b.unit) * ALIGN < end);
        self.outcome
            .history
            .new_others
            .retain(|unit| u64::from(*unit) * ALIGN < end);
        if torn.is_some() {
            self.tip = self.tip_at(end)?;
        }
        self.outcome.orphans.append(&mut self.loose);
        self.outcome.torn = torn;
        self.outcome.tip = Some(self.tip);
        Ok(self.outcome)
    }

    /// The tip behind the last good block before `end`.
    fn tip_at(&self, end: u64) -> Result<Tip, DeviceError> {
        let loose = self.loose.last().map(|b| u64::from(b.unit) * ALIGN);
        let history = &self.outcome.history;
        let commit = history.commits.last().map(|unit| u64::from(*unit) * ALIGN);
        let other = history.new_others.last().map(|u| u64::from(*u) * ALIGN);
        let last = [loose, commit, other, Some(0)]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(0);
        let mut tip = Tip {
            offset: end,
            sequence: 0,
            previous: 0,
        };
        if let Ok((header, _)) = self.head(last)? {
            tip.sequence = header.place.sequence + 1;
            tip.previous = header.checksum;
        }
        Ok(tip)
    }
}

/// Reads and checks header and slot table at `offset`.
///
/// # Errors
/// The device cannot be read.
pub fn read_head(
    file: &dyn VolumeFile,
    volume: Uuid,
    offset: u64,
) -> Result<HeadFound, DeviceError> {
    let mut buffer = vec![0; ALIGN as usize];
    let got = file.read(offset, &mut buffer)?;
    buffer.truncate(got);
    let header = match Header::parse(&buffer) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error.into())),
    };
    if let Err(error) = header.check_place(volume, offset) {
        return Ok(Err(error));
    }
    if header.head_bytes() > buffer.len() {
        let missing = header.head_bytes() - buffer.len();
        let start = buffer.len();
        buffer.resize(start + missing, 0);
        let got = file.read(offset + start as u64, &mut buffer[start..])?;
        buffer.truncate(start + got);
    }
    Ok(header.check(&buffer).map(|slots| (header, slots)))
}

/// Completes a commit: reads the slot tables of the blocks it names without their ids. `false` when one of them is not
/// what the commit names.
///
/// # Errors
/// The device cannot be read.
pub fn complete(
    file: &dyn VolumeFile,
    volume: Uuid,
    commit: &mut Commit,
) -> Result<bool, DeviceError> {
    let mut head = Vec::new();
    for block in commit.blocks.iter_mut().filter(|b| !b.is_listed()) {
        let offset = u64::from(block.unit) * ALIGN;
        head.resize(HEADER_BYTES + block.slots as usize * SLOT_BYTES, 0);
        let got = file.read(offset, &mut head)?;
        let found = Header::parse(&head[..got])
            .map_err(BlockError::from)
            .and_then(|header| {
                header.check_place(volume, offset)?;
                Ok((header.checksum, header.check(&head[..got])?))
            });
        match found {
            Ok((checksum, slots)) if checksum == block.checksum => {
                block.ids = slots.into_iter().map(|s| s.id).collect();
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Reads the payload of a whole block.
///
/// # Errors
/// The device cannot be read.
pub fn read_payload(
    file: &dyn VolumeFile,
    volume: Uuid,
    offset: u64,
) -> Result<Result<(Header, Vec<u8>), BlockError>, DeviceError> {
    let (header, _) = match read_head(file, volume, offset)? {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let mut payload = vec![0; header.payload_bytes as usize];
    let got = file.read(offset + header.head_bytes() as u64, &mut payload)?;
    payload.truncate(got);
    Ok(header.check_payload(&payload).map(|()| (header, payload)))
}

/// The seal of a volume, when it has an intact one.
///
/// # Errors
/// The device cannot be read.
pub fn read_seal(file: &dyn VolumeFile, volume: Uuid) -> Result<Option<Seal>, DeviceError> {
    let bytes = file.bytes()?;
    let mut footer = [0; FOOTER_BYTES];
    let Some(at) = bytes.checked_sub(FOOTER_BYTES as u64) else {
        return Ok(None);
    };
    file.read(at, &mut footer)?;
    let Some(offset) = Seal::offset_from_footer(&footer) else {
        return Ok(None);
    };
    Ok(match read_payload(file, volume, offset)? {
        Ok((header, payload)) if header.kind == Kind::Seal && header.end() == bytes => {
            Seal::from_bytes(&payload).ok()
        }
        _ => None,
    })
}
