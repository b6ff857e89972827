//! What a listing shows and the catalog does not hold: names of owners and groups, targets of links. They stand in the
//! pages, which the Storage Daemon gives.
//!
//! Best effort: nothing is shown when the storage is away, slow, or the pages are too many; a listing never fails by it.

use std::collections::HashMap;
use std::time::Duration;

use common::api::browse::Entry;
use common::api::text::PathText;
use common::ids::{Identity, PageId, Role};
use common::object::entry::{self, Content};
use common::object::page::Page;
use common::walk::PageSource;

use super::app::App;
use crate::catalog::Snapshot;
use crate::catalog::browse::FileEntry;
use crate::daemons::RemotePages;

/// A listing waits this long for its pages.
const LIMIT: Duration = Duration::from_secs(2);
/// Pages read for one listing.
const MAX_PAGES: usize = 64;

/// Completes the entries of one directory; `rows` are their rows, in the same order, by name.
pub(super) async fn complete(
    app: &App,
    snapshot: &Snapshot,
    directory: &[u8],
    (rows, shown): (&[FileEntry], &mut [Entry]),
) {
    let storage = snapshot.storage.map(|id| Identity {
        role: Role::Storage,
        id,
    });
    let (Some(first), Some(last), Some(storage)) = (
        rows.first(),
        rows.last(),
        storage.and_then(|id| app.registry.get(id)),
    ) else {
        return;
    };
    let reading = Reading {
        pages: RemotePages::new(storage),
        left: MAX_PAGES,
    };
    let (root, directory) = (snapshot.root, directory.to_vec());
    let range = (first.name.clone(), last.name.clone());
    let read = tokio::task::spawn_blocking(move || reading.directory(root, &directory, &range));
    let Ok(Ok(Some(found))) = tokio::time::timeout(LIMIT, read).await else {
        return;
    };
    for (row, shown) in rows.iter().zip(shown) {
        if let Some(found) = found.get(&row.name) {
            shown.owner.clone_from(&found.owner);
            shown.group.clone_from(&found.group);
            shown.target = found.target.as_deref().map(PathText::from_bytes);
        }
    }
}

struct Reading<S> {
    pages: S,
    left: usize,
}

impl<S: PageSource> Reading<S> {
    /// Entries of a directory below `root` with names in `range`. `None` = they cannot be had.
    fn directory(
        mut self,
        root: PageId,
        path: &[u8],
        range: &(Vec<u8>, Vec<u8>),
    ) -> Option<HashMap<Vec<u8>, entry::Entry>> {
        let mut top = root;
        for part in path.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            let mut found = self.entries(top, (part, part))?;
            let Content::Directory(below) = found.remove(part)?.content else {
                return None;
            };
            top = below;
        }
        self.entries(top, (&range.0, &range.1))
    }

    /// Entries of the directory with this top page whose names are from `first` to `last`.
    fn entries(
        &mut self,
        top: PageId,
        (first, last): (&[u8], &[u8]),
    ) -> Option<HashMap<Vec<u8>, entry::Entry>> {
        let (mut open, mut found) = (vec![top], HashMap::new());
        while let Some(id) = open.pop() {
            self.left = self.left.checked_sub(1)?;
            match Page::decode(&self.pages.page(id).ok()?).ok()? {
                Page::Leaf(entries) => {
                    let wanted = entries.into_iter();
                    let wanted = wanted.filter(|e| (first..=last).contains(&e.name.as_slice()));
                    found.extend(wanted.map(|e| (e.name.clone(), e)));
                }
                Page::Index(lines) => {
                    let ends = lines.iter().skip(1).map(|line| Some(&line.first_name));
                    for (line, end) in lines.iter().zip(ends.chain([None])) {
                        let begins = line.first_name.as_slice() <= last;
                        if begins && end.is_none_or(|end| end.as_slice() > first) {
                            open.push(line.page);
                        }
                    }
                }
                Page::List(_) => return None,
            }
        }
        Some(found)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use common::object::attribute::Stat;
    use common::object::entry::Kind;
    use common::object::page_builder::{BuiltPage, PageBuilder};

    use super::*;

    #[derive(Default)]
    struct Pages(HashMap<PageId, Bytes>);

    impl PageSource for Pages {
        type Error = std::io::Error;
        fn page(&mut self, id: PageId) -> Result<Bytes, std::io::Error> {
            let page = self.0.get(&id).cloned();
            page.ok_or_else(|| std::io::Error::other("absent"))
        }
    }

    impl Pages {
        fn directory(&mut self, entries: impl Iterator<Item = entry::Entry>) -> PageId {
            let mut keep = |page: BuiltPage| {
                self.0.insert(page.id, page.bytes.into());
                Ok::<_, std::convert::Infallible>(())
            };
            let mut builder = PageBuilder::new();
            for entry in entries {
                builder.push(entry, &mut keep).unwrap();
            }
            builder.finish(&mut keep).unwrap()
        }
    }

    #[test]
    fn a_range_of_a_large_directory_is_found_with_few_pages() {
        let mut pages = Pages::default();
        let file = |n: u32| {
            let name = format!("f{n:06}").into_bytes();
            entry::Entry {
                owner: format!("user{n}"),
                ..entry::Entry::new(name, Kind::File, Stat::default())
            }
        };
        let top = pages.directory((0..20_000).map(file));
        let mut dir = entry::Entry::new(b"home".to_vec(), Kind::Directory, Stat::default());
        dir.content = Content::Directory(top);
        let root = pages.directory(std::iter::once(dir));
        let few = pages.0.len() / 3;
        assert!(few > 10);
        let reading = Reading { pages, left: few };
        let range = (b"f010990".to_vec(), b"f011989".to_vec());
        let found = reading.directory(root, b"/home/", &range).unwrap();
        assert_eq!(found.len(), 1000);
        assert_eq!(found[&b"f011989"[..]].owner, "user11989");
        assert_eq!(found[&b"f010990"[..]].owner, "user10990");
    }
}
