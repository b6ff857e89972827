//! What a start does: completes index and snapshots from what lies behind the marks, sets torn tails aside, and takes
//! in blocks that are whole but were not committed when the daemon died.
//!
//! Data volumes come first, so that the pages that name their chunks can be judged.

use std::sync::Arc;

use common::ids::{ChunkId, SessionId};

use super::index::{ChunkIndex as _, Mark};
use super::the_store::{Store, StoreError};
use super::verify;
use crate::device::VolumeFile;
use crate::format::block::{ALIGN, Kind};
use crate::format::commit::{Commit, CommittedBlock, Seal};
use crate::format::label::{Holds, Label};
use crate::volume::scan::{self, Found, Outcome, Scanner};
use crate::volume::writer::locations;
use crate::volume::{Location, ReadError, VolumeWriter};

/// Blocks written by the daemon itself.
const DAEMON: SessionId = SessionId(0);

impl Store {
    pub(super) fn recover(&self) -> Result<(), StoreError> {
        let marks = self.index().marks();
        let mut volumes = self.volumes().list();
        volumes.sort_by_key(|v| (v.label.holds == Holds::Pages, v.label.number));
        for volume in volumes {
            let mark = marks.get(&volume.label.number).copied();
            self.recover_or_fail(&volume.label, mark)?;
        }
        Ok(())
    }

    /// Recovers one volume; when it cannot be read it is out of use.
    fn recover_or_fail(&self, label: &Arc<Label>, mark: Option<Mark>) -> Result<(), StoreError> {
        match self.recover_volume(label, mark) {
            // With half an index the daemon would store everything again.
            Err(StoreError::Index(error)) => Err(error.into()),
            Err(error) => {
                tracing::error!(volume = label.name(), %error, "volume cannot be read: it is out of use");
                self.volumes().failed(label);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// A volume to write on. One that its session left without an end is recovered first, as a start would do it.
    ///
    /// # Errors
    /// No new volume could be made, or the index failed.
    pub(super) fn acquire(&self, pool: &str, holds: Holds) -> Result<VolumeWriter, StoreError> {
        while let Some(label) = self.volumes().take_abandoned(pool) {
            tracing::warn!(
                volume = label.name(),
                "a session left the volume without an end: it is recovered"
            );
            let mark = self.index().marks().get(&label.number).copied();
            self.recover_or_fail(&label, mark)?;
        }
        Ok(self.volumes().acquire(pool, holds)?)
    }

    fn recover_volume(&self, label: &Arc<Label>, mark: Option<Mark>) -> Result<(), StoreError> {
        let file = self.volumes().file(label.number)?;
        if let Some(seal) = scan::read_seal(file.as_ref(), label.uuid).map_err(ReadError::from)?
            && self.recover_sealed(label, file.as_ref(), &seal, mark)?
        {
            return Ok(());
        }
        let outcome = self.scan(label, file.as_ref(), mark)?;
        self.used_session(outcome.last_session);
        for damage in &outcome.damage {
            tracing::error!(
                volume = label.name(),
                offset = damage.offset,
                reason = damage.reason,
                "damage in a volume"
            );
        }
        drop(file);
        match outcome.tip {
            Some(_) => self.recover_unfinished(label, outcome),
            None => self.take_in(label, &outcome.orphans, None),
        }
    }

    /// Reads what a seal lists behind the mark; false when something of it cannot be read.
    fn recover_sealed(
        &self,
        label: &Label,
        file: &dyn VolumeFile,
        seal: &Seal,
        mark: Option<Mark>,
    ) -> Result<bool, StoreError> {
        let is_new = |unit: u32| mark.is_none_or(|mark| u64::from(unit) * ALIGN > mark);
        for unit in seal.commits.iter().filter(|unit| is_new(**unit)) {
            let at = u64::from(*unit) * ALIGN;
            let Ok((header, payload)) = scan::read_payload(file, label.uuid, at)? else {
                return Ok(false);
            };
            let Ok(mut commit) = Commit::from_bytes(&payload) else {
                return Ok(false);
            };
            if !scan::complete(file, label.uuid, &mut commit)? {
                return Ok(false);
            }
            self.used_session(header.session.0);
            self.take_commit(label.number, at, &commit)?;
        }
        for unit in seal.others.iter().filter(|unit| is_new(**unit)) {
            let at = u64::from(*unit) * ALIGN;
            let Ok((header, payload)) = scan::read_payload(file, label.uuid, at)? else {
                return Ok(false);
            };
            self.take_other(label, header.kind == Kind::Note, &payload);
        }
        Ok(true)
    }

    fn scan(
        &self,
        label: &Label,
        file: &dyn VolumeFile,
        mark: Option<Mark>,
    ) -> Result<Outcome, StoreError> {
        let mut failed = None;
        let mut tell = |found| match found {
            Found::Commit(at, commit) => {
                if let Err(error) = self.take_commit(label.number, at, &commit) {
                    failed = Some(error);
                }
            }
            Found::Snapshot(bytes) => self.take_other(label, false, &bytes),
            Found::Note(bytes) => self.take_other(label, true, &bytes),
        };
        let outcome = Scanner::new(file, label.uuid)?.run(mark, &mut tell)?;
        failed.map_or(Ok(outcome), Err)
    }

    fn take_commit(&self, volume: u32, at: u64, commit: &Commit) -> Result<(), StoreError> {
        self.index()
            .insert(&mut locations(volume, &commit.blocks), volume, at)?;
        if let Err(error) = self.damaged_ids().stored(locations(volume, &commit.blocks)) {
            tracing::warn!(%error, "the list of damaged ids could not be written");
        }
        Ok(())
    }

    fn take_other(&self, label: &Label, is_note: bool, bytes: &[u8]) {
        let taken = match is_note {
            true => self.snapshots().add_note(bytes),
            false => self.snapshots().add_snapshot(bytes),
        };
        if let Err(error) = taken {
            tracing::error!(volume = label.name(), %error, "a snapshot or note cannot be read by this version");
        }
    }

    fn recover_unfinished(&self, label: &Arc<Label>, outcome: Outcome) -> Result<(), StoreError> {
        if let Some(torn) = &outcome.torn {
            let kept = self.volumes().set_aside(label, torn.offset)?;
            tracing::warn!(
                volume = label.name(),
                offset = torn.offset,
                reason = torn.reason,
                kept,
                "torn tail set aside"
            );
        }
        let is_damaged = !outcome.damage.is_empty();
        let Some(tip) = outcome.tip.filter(|tip| tip.sequence > 0) else {
            // Not even its label is whole: nothing was ever told of it.
            self.volumes().failed(label);
            return Ok(());
        };
        let mut writer = self.volumes().reopen(label, tip, outcome.history)?;
        self.take_in(label, &outcome.orphans, Some(&mut writer))?;
        if is_damaged {
            self.volumes().failed(label);
        } else {
            self.volumes().release(writer);
        }
        Ok(())
    }

    /// Takes blocks in that no commit names, when they are whole and everything they name is present.
    fn take_in(
        &self,
        label: &Arc<Label>,
        orphans: &[CommittedBlock],
        writer: Option<&mut VolumeWriter>,
    ) -> Result<(), StoreError> {
        let mut taken: Vec<CommittedBlock> = Vec::new();
        let mut own = std::collections::HashSet::new();
        for block in orphans {
            if self.is_whole(label, block, &own) {
                own.extend(block.ids.iter().copied());
                taken.push(block.clone());
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        tracing::info!(
            volume = label.name(),
            blocks = taken.len(),
            "took in blocks that were not committed"
        );
        let last = u64::from(taken.last().map_or(0, |b| b.unit)) * ALIGN;
        let mark = match writer {
            Some(writer) => {
                taken.iter().for_each(|block| writer.adopt(block.clone()));
                let committed = writer.append_commit(DAEMON)?;
                writer.sync()?;
                writer.settle();
                committed.unwrap_or(last)
            }
            None => self
                .index()
                .marks()
                .get(&label.number)
                .copied()
                .unwrap_or(0),
        };
        let mut batch = locations(label.number, &taken);
        Ok(self.index().insert(&mut batch, label.number, mark)?)
    }

    fn is_whole(
        &self,
        label: &Label,
        block: &CommittedBlock,
        own: &std::collections::HashSet<ChunkId>,
    ) -> bool {
        let place = Location {
            volume: label.number,
            unit: block.unit,
            units: block.units,
            slot: 0,
        };
        let Ok(read) = self.volumes().read(place) else {
            return false;
        };
        if read.header.kind != Kind::Pages {
            return true;
        }
        let mut plain = Vec::new();
        if read.segment.decode(&mut plain).is_err() {
            return false;
        }
        let Ok(needs) = verify::needs(&read.segment, &plain) else {
            return false;
        };
        needs
            .iter()
            .all(|(_, target)| own.contains(target) || matches!(self.locate(target), Ok(Some(_))))
    }
}
