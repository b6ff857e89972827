//! What lies below a base directory that is not walked: counted when it is gone, and when it is carried forward.

use common::ids::PageId;
use common::object::entry::{Content, Entry};

use super::base::BasePages;
use super::cursor::Cursor;
use crate::sink::error::SinkError;

/// Calls `each` for every entry below a directory's page; missing pages are passed over. Memory: one cursor per depth.
/// `each` says whether to go on below a directory.
///
/// # Errors
/// The storage is lost.
pub fn for_each_below(
    pages: &BasePages,
    top: &PageId,
    each: &mut dyn FnMut(&Entry) -> bool,
) -> Result<(), SinkError> {
    let mut open: Vec<Cursor> = Cursor::open(pages, top)?.into_iter().collect();
    while let Some(cursor) = open.last_mut() {
        let Some(entry) = cursor.take(pages)? else {
            open.pop();
            continue;
        };
        let goes_on = each(&entry);
        if let (true, Content::Directory(page)) = (goes_on, &entry.content) {
            open.extend(Cursor::open(pages, page)?);
        }
    }
    Ok(())
}
