//! How an entry stands to the base, counted: new, changed, gone, carried forward.

use common::object::entry::{Content, Entry, Kind};

use super::frame::Found;
use super::merge::Merge;
use super::step::Standing;
use super::subtree::for_each_below;
use super::tally::one;
use crate::sink::error::SinkError;

impl Merge<'_> {
    /// Entries that are no more.
    pub(super) fn gone(&mut self, gone: Found) -> Result<(), SinkError> {
        if let Some(entry) = gone.base.filter(|_| self.counts()) {
            one(&self.set.tally.removed_entries);
            self.gone_below(&entry)?;
        }
        Ok(())
    }

    pub(super) fn gone_below(&self, entry: &Entry) -> Result<(), SinkError> {
        if let Content::Directory(page) = &entry.content {
            for_each_below(self.set.pages, page, &mut |_| {
                one(&self.set.tally.removed_entries);
                true
            })?;
        }
        Ok(())
    }

    pub(super) fn count_below(&self, entry: &Entry) -> Result<(), SinkError> {
        self.set.tally.entry(entry);
        if let Content::Directory(page) = &entry.content {
            for_each_below(self.set.pages, page, &mut |below| {
                self.set.tally.entry(below);
                true
            })?;
        }
        Ok(())
    }

    /// Counts how an entry stands to the base; a folder that is none any more takes what was in it along.
    pub(super) fn standing(&self, found: &Found, kind: Kind, same: bool) -> Result<(), SinkError> {
        match &found.base {
            Some(entry) if self.counts() => {
                if !same {
                    one(&self.set.tally.changed_entries);
                }
                if entry.kind == kind {
                    Ok(())
                } else {
                    self.gone_below(entry)
                }
            }
            _ => {
                one(&self.set.tally.new_entries);
                Ok(())
            }
        }
    }

    pub(super) fn standing_of_capture(
        &self,
        found: &Found,
        kind: Kind,
    ) -> Result<Standing, SinkError> {
        match &found.base {
            Some(entry) if self.counts() && entry.kind == kind => Ok(Standing::Compare),
            Some(_) if self.counts() => {
                self.standing(found, kind, false)?;
                Ok(Standing::Counted)
            }
            _ => Ok(Standing::New),
        }
    }
}
