//! Pages: round trips, stable boundaries, hostile bytes.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::ids::ChunkId;
use crate::object::attribute::{Device, Extent, FileTime, LinkGroup, Stat};
use crate::object::entry::{Content, Kind};
use crate::object::link::{ChunkRef, ListRef};
use crate::object::list::ListBuilder;
use crate::object::page_builder::{BuiltPage, PageBuilder};

fn file(name: &str, n: u64) -> Entry {
    let stat = Stat {
        mode: 0o644,
        uid: 1000,
        size: n,
        mtime: FileTime { secs: -5, nanos: 7 },
        ino: n,
        nlink: 1,
        ..Stat::default()
    };
    let mut e = Entry::new(name.as_bytes().to_vec(), Kind::File, stat);
    e.owner = "web".into();
    if n > 0 {
        e.content = Content::Chunks(vec![ChunkRef {
            id: ChunkId::of(&n.to_le_bytes()),
            len: n as u32,
        }]);
    }
    e
}

fn rich() -> Entry {
    let mut e = file("rich", 9);
    e.birth = Some(FileTime {
        secs: 1 << 40,
        nanos: 999_999_999,
    });
    e.group = "staff".into();
    e.flags = 0x80;
    e.link_group = Some(LinkGroup {
        fs: u64::MAX,
        ino: 3,
    });
    e.xattrs = vec![
        (b"security.capability".to_vec(), vec![0, 255]),
        (b"user.x".to_vec(), vec![]),
    ];
    e.extents = Some(vec![Extent {
        offset: 4096,
        len: 9,
    }]);
    e.marks = 1;
    e.unknown = vec![(4000, vec![1, 2, 3])];
    e.attribute_chunks = vec![(
        50,
        ChunkRef {
            id: ChunkId::of(b"a"),
            len: 5000,
        },
    )];
    e.content = Content::List(ListRef {
        page: PageId::of(b"l"),
        bytes: 9,
        chunks: 1,
    });
    e
}

fn special() -> Vec<Entry> {
    let mut dir = Entry::new(b"\xff\n".to_vec(), Kind::Directory, Stat::default());
    dir.content = Content::Directory(PageId::of(b"d"));
    let mut dev = Entry::new(b"dev".to_vec(), Kind::BlockDevice, Stat::default());
    dev.device = Some(Device { major: 8, minor: 1 });
    let mut link = Entry::new(b"link".to_vec(), Kind::Symlink, Stat::default());
    link.target = Some(b"../../etc".to_vec());
    vec![dev, link, rich(), dir]
}

#[test]
fn every_field_round_trips() {
    let bytes = encode_leaf(&special());
    assert_eq!(Page::decode(&bytes).unwrap(), Page::Leaf(special()));
    assert_eq!(links(&bytes).unwrap().len(), 3);
}

#[test]
fn truncations_and_flips_never_panic_and_never_pass_as_the_same_page() {
    let bytes = encode_leaf(&special());
    for len in 0..bytes.len() {
        assert!(Page::decode(&bytes[..len]).is_err(), "cut at {len}");
    }
    for n in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[n / 8] ^= 1 << (n % 8);
        assert_ne!(PageId::of(&bad), PageId::of(&bytes));
        let _ = Page::decode(&bad);
        let _ = links(&bad);
    }
}

#[test]
fn hostile_names_and_orders_are_refused() {
    for name in [&b".."[..], b".", b"a/b", b"", b"nul\0"] {
        let e = Entry::new(name.to_vec(), Kind::File, Stat::default());
        assert!(Page::decode(&encode_leaf(&[e])).is_err(), "{name:?}");
    }
    assert!(Page::decode(&encode_leaf(&[file("b", 1), file("a", 1)])).is_err());
    assert!(Page::decode(&encode_leaf(&[file("a", 1), file("a", 1)])).is_err());
}

fn build(entries: &[Entry]) -> (PageId, Vec<BuiltPage>) {
    let mut pages = Vec::new();
    let mut emit = |p: BuiltPage| -> Result<(), Infallible> {
        pages.push(p);
        Ok(())
    };
    let mut b = PageBuilder::new();
    for e in entries {
        b.push(e.clone(), &mut emit).unwrap();
    }
    let top = b.finish(&mut emit).unwrap();
    (top, pages)
}

fn names_below(top: PageId, pages: &[BuiltPage]) -> Vec<Vec<u8>> {
    let page = pages.iter().find(|p| p.id == top).unwrap();
    match Page::decode(&page.bytes).unwrap() {
        Page::Leaf(entries) => entries.into_iter().map(|e| e.name).collect(),
        Page::Index(lines) => lines
            .into_iter()
            .flat_map(|l| names_below(l.page, pages))
            .collect(),
        Page::List(_) => panic!("a list in a directory"),
    }
}

#[test]
fn a_change_in_a_large_directory_rewrites_few_pages() {
    let mut entries: Vec<Entry> = (0..50_000u64)
        .map(|n| file(&format!("name-{n:06}"), n + 1))
        .collect();
    let (top, pages) = build(&entries);
    assert!(pages.len() > 200, "{}", pages.len());
    assert_eq!(names_below(top, &pages).len(), entries.len());
    let old: std::collections::HashSet<PageId> = pages.iter().map(|p| p.id).collect();
    entries.remove(30_000);
    entries[20_000].stat.size += 1;
    let (_, pages) = build(&entries);
    let new = pages.iter().filter(|p| !old.contains(&p.id)).count();
    assert!(new <= 8, "{new} pages rewritten");
}

#[test]
fn an_empty_directory_is_one_empty_leaf() {
    let (top, pages) = build(&[]);
    assert_eq!(pages.len(), 1);
    assert_eq!(pages[0].id, top);
    assert_eq!(Page::decode(&pages[0].bytes).unwrap(), Page::Leaf(vec![]));
}

#[test]
fn chunk_lists_of_every_length_add_up() {
    for n in [0usize, 1, 16, 17, 300, 1024, 1025, 40_000, 300_000] {
        let (mut count, mut longest) = (0, 0);
        let mut emit = |p: BuiltPage| -> Result<(), Infallible> {
            count += 1;
            longest = longest.max(p.bytes.len());
            assert!(matches!(Page::decode(&p.bytes).unwrap(), Page::List(_)));
            Ok(())
        };
        let mut b = ListBuilder::new();
        for i in 0..n {
            b.push(
                ChunkRef {
                    id: ChunkId::of(&i.to_le_bytes()),
                    len: 10,
                },
                &mut emit,
            )
            .unwrap();
        }
        match b.finish(&mut emit).unwrap() {
            Content::None => assert_eq!(n, 0),
            Content::Chunks(c) => assert!(c.len() == n && n <= 16 && count == 0),
            Content::List(l) => assert!(
                l.chunks == n as u64 && l.bytes == 10 * n as u64 && count > 0,
                "{n}: {l:?}"
            ),
            Content::Directory(_) => panic!("a directory from a list"),
        }
        assert!(longest < 64 << 10);
    }
}

proptest! {
    #[test]
    fn equal_entries_give_equal_pages_whatever_they_hold(names in proptest::collection::btree_set("[a-z]{1,12}", 1..200)) {
        let entries: Vec<Entry> = names.iter().enumerate().map(|(n, name)| file(name, n as u64)).collect();
        let (top, pages) = build(&entries);
        prop_assert_eq!(build(&entries).0, top);
        let got = names_below(top, &pages);
        prop_assert_eq!(got, names.iter().map(|n| n.as_bytes().to_vec()).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut page = b"HFPG\x01\x01\0\0".to_vec();
        page.extend(&bytes);
        let _ = Page::decode(&page);
        let _ = links(&page);
    }
}
