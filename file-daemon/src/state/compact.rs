//! Compaction: copies the pages a tree reaches into a new file and puts it in the old one's place.
//!
//! Done when the file has doubled since the last time, so that at most half of it is dead. Pages that are missing or
//! damaged are left behind: they are fetched when they are wanted.

use common::ids::PageId;
use common::object::page;

use super::page_file::{IdMap, PageFile, PageFileError, short_key};

/// Copies what `root` reaches into `target`, children after parents. Memory: the pages' keys.
///
/// # Errors
/// The target cannot be written.
pub fn copy_live(
    source: &PageFile,
    root: PageId,
    target: &mut PageFile,
) -> Result<(), PageFileError> {
    let mut seen: IdMap<()> = IdMap::default();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if seen.insert(short_key(&id.0), ()).is_some() {
            continue;
        }
        let Some(bytes) = source.get(&id) else {
            continue;
        };
        target.put(&id, &bytes)?;
        let links = page::links(&bytes).unwrap_or_default();
        open.extend(links.iter().filter_map(common::object::link::Link::page));
    }
    target.sync()
}
