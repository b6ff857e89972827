//! Which parts of a file's content have arrived, and where they lie in the file, PURE.
//!
//! Content is a stream without holes; the extents of a sparse file say where it goes. Never counts a byte twice.

use std::collections::BTreeMap;
use std::ops::Range;

use common::object::attribute::Extent;

/// The parts of a content stream that have arrived.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Start to end, apart from each other.
    parts: BTreeMap<u64, u64>,
}

impl Coverage {
    /// Adds `start..start + len`.
    pub fn add(&mut self, start: u64, len: u64) {
        let (mut from, mut to) = (start, start.saturating_add(len));
        let touching: Vec<u64> = self
            .parts
            .range(..=to)
            .rev()
            .take_while(|(_, end)| **end >= from)
            .map(|(start, _)| *start)
            .collect();
        for key in touching {
            if let Some(end) = self.parts.remove(&key) {
                from = from.min(key);
                to = to.max(end);
            }
        }
        self.parts.insert(from, to);
    }

    /// Whether `0..total` has arrived.
    #[must_use]
    pub fn is_whole(&self, total: u64) -> bool {
        total == 0
            || self
                .parts
                .first_key_value()
                .is_some_and(|(s, e)| *s == 0 && *e >= total)
    }
}

/// Where content goes in the file.
#[derive(Debug)]
pub struct Layout {
    /// Content offset at which each extent starts, and the extent; `None` = the content is the file.
    extents: Option<Vec<(u64, Extent)>>,
}

impl Layout {
    /// The layout of a file with these extents holding `content` bytes; `None` when they do not add up.
    #[must_use]
    pub fn new(extents: Option<&[Extent]>, content: u64, size: u64) -> Option<Self> {
        let Some(extents) = extents else {
            return Some(Self { extents: None });
        };
        let mut at = 0u64;
        let mut list = Vec::with_capacity(extents.len());
        for e in extents {
            if e.offset.checked_add(e.len)? > size {
                return None;
            }
            list.push((at, *e));
            at = at.checked_add(e.len)?;
        }
        (at == content).then_some(Self {
            extents: Some(list),
        })
    }

    /// Calls `each` with (file offset, range within the piece) for the parts of a piece of `len` bytes at `offset` of the
    /// content, in order.
    ///
    /// # Errors
    /// Whatever `each` returns.
    pub fn parts<E>(
        &self,
        mut offset: u64,
        len: usize,
        each: &mut dyn FnMut(u64, Range<usize>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(extents) = &self.extents else {
            return each(offset, 0..len);
        };
        let mut at = extents
            .partition_point(|(start, _)| *start <= offset)
            .saturating_sub(1);
        let mut done = 0;
        while let (Some((start, extent)), true) = (extents.get(at), done < len) {
            let inside = offset.saturating_sub(*start);
            let room = usize::try_from(extent.len.saturating_sub(inside)).unwrap_or(usize::MAX);
            let end = done.saturating_add(room).min(len);
            each(extent.offset.saturating_add(inside), done..end)?;
            offset = offset.saturating_add((end - done) as u64);
            done = end;
            at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn coverage_is_whole_exactly_when_every_byte_came(
            parts in proptest::collection::vec((0u64..20, 1u64..6), 0..12),
        ) {
            let mut coverage = Coverage::default();
            let mut seen = [false; 32];
            for (start, len) in parts {
                coverage.add(start, len);
                (start..start + len).for_each(|b| seen[b as usize] = true);
            }
            for total in 0..25u64 {
                prop_assert_eq!(coverage.is_whole(total), seen[..total as usize].iter().all(|b| *b));
            }
        }

        #[test]
        fn content_lands_in_its_extents(
            gaps in proptest::collection::vec((0u64..5, 1u64..6), 1..6),
            cuts in proptest::collection::vec(1usize..7, 1..20),
        ) {
            let mut extents = Vec::new();
            let mut at = 0;
            for (gap, len) in gaps {
                extents.push(Extent { offset: at + gap, len });
                at += gap + len;
            }
            let total: u64 = extents.iter().map(|e| e.len).sum();
            let content: Vec<u8> = (1..=total as u8).collect();
            let layout = Layout::new(Some(&extents), total, at).unwrap();
            let mut file = vec![0u8; at as usize];
            let mut offset = 0;
            for cut in cuts.into_iter().chain([content.len()]) {
                let end = (offset + cut).min(content.len());
                layout.parts::<()>(offset as u64, end - offset, &mut |at, part| {
                    file[at as usize..][..part.len()].copy_from_slice(&content[offset..end][part]);
                    Ok(())
                }).unwrap();
                offset = end;
            }
            let read: Vec<u8> = extents.iter().flat_map(|e| &file[e.offset as usize..][..e.len as usize]).copied().collect();
            prop_assert_eq!(read, content);
        }
    }

    #[test]
    fn extents_that_do_not_add_up_are_refused() {
        let one = [Extent { offset: 4, len: 4 }];
        assert!(Layout::new(Some(&one), 5, 8).is_none());
        assert!(Layout::new(Some(&one), 4, 7).is_none());
        assert!(Layout::new(Some(&one), 4, 8).is_some());
    }
}
