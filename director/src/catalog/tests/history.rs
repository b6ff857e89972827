//! Made-up histories of a small tree, against a model: whatever was stored and pruned, each kept snapshot shows its own
//! tree, and no row is left that nobody sees.

use std::collections::BTreeMap;

use common::object::attribute::Stat;
use common::object::entry::{Content, Entry, Kind};
use common::walk::{Roots, Walk};

use super::super::browse::DirId;
use super::super::ingest::{Ingest, Leftovers};
use super::bench::Pages;
use super::*;

/// What a directory holds: files by size, directories by what they hold.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    File(u64),
    Dir(BTreeMap<&'static str, Node>),
}

type Tree = BTreeMap<&'static str, Node>;

/// A small generator of the same numbers each time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn change(&mut self, tree: &mut Tree, depth: u32) {
        for name in ["a", "b", "c", "d"] {
            match self.roll(8) {
                0 => drop(tree.remove(name)),
                1 => drop(tree.insert(name, Node::File(self.roll(1000)))),
                2 if depth < 3 => {
                    let mut below = Tree::new();
                    self.change(&mut below, depth + 1);
                    tree.insert(name, Node::Dir(below));
                }
                _ => {
                    if let Some(Node::Dir(below)) = tree.get_mut(name) {
                        self.change(below, depth + 1);
                    }
                }
            }
        }
    }
}

fn store(pages: &mut Pages, tree: &Tree) -> PageId {
    let entries = tree.iter().map(|(name, node)| match node {
        Node::File(size) => {
            let stat = Stat {
                size: *size,
                ..Stat::default()
            };
            Entry::new(name.as_bytes().to_vec(), Kind::File, stat)
        }
        Node::Dir(below) => {
            let mut entry = Entry::new(name.as_bytes().to_vec(), Kind::Directory, Stat::default());
            entry.content = Content::Directory(store(pages, below));
            entry
        }
    });
    let entries = entries.collect();
    pages.directory(entries)
}

fn flat(tree: &Tree, prefix: &str, out: &mut BTreeMap<String, u64>) {
    for (name, node) in tree {
        match node {
            Node::File(size) => drop(out.insert(format!("{prefix}{name}"), *size)),
            Node::Dir(below) => {
                let path = format!("{prefix}{name}/");
                out.insert(path.clone(), 0);
                flat(below, &path, out);
            }
        }
    }
}

async fn shown(line: &Line, number: Number) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    let mut open = vec![(String::new(), DirId::ROOT)];
    let place = (line.series.id, number);
    while let Some((prefix, dir)) = open.pop() {
        let page = line
            .catalog
            .list_directory(place, dir, None, 100)
            .await
            .unwrap();
        for entry in page.entries {
            let path = format!("{prefix}{}", String::from_utf8(entry.name).unwrap());
            if entry.kind == Some(Kind::Directory) {
                let absolute = format!("/{path}");
                let found = line
                    .catalog
                    .directory(line.series.id, absolute.as_bytes())
                    .await
                    .unwrap();
                open.push((format!("{path}/"), found.unwrap()));
                out.insert(format!("{path}/"), 0);
            } else {
                out.insert(path, entry.size_bytes);
            }
        }
    }
    out
}

/// Takes the next snapshot of a tree; returns it with its root.
async fn take(line: &Line, tree: &Tree, base: Option<PageId>) -> (stored::Snapshot, PageId) {
    let mut pages = Pages::default();
    let new = store(&mut pages, tree);
    let (job_id, number) = line.start().await;
    let mut known = line.pages.lock().await;
    known.0.extend(pages.0);
    let mut source = Pages(known.0.clone());
    drop(known);
    let place = (line.series.id, number);
    let (ingest, mut rows) = Ingest::begin(&line.catalog, place, Leftovers::Discard)
        .await
        .unwrap();
    let roots = Roots {
        new: Some(new),
        base,
        ..Roots::default()
    };
    let walker = tokio::task::spawn_blocking(move || {
        rows.walk(&mut Walk::new(roots), &mut source).unwrap();
        rows.close().unwrap();
    });
    ingest.finish().await.unwrap();
    walker.await.unwrap();
    let snapshot = line.stored(job_id, number, Some(0));
    assert!(line.publish(&snapshot).await);
    (snapshot, new)
}

#[tokio::test]
async fn whatever_happens_each_kept_snapshot_shows_its_own_tree() {
    for seed in 1..=6 {
        let line = Line::new().await;
        let mut dice = Dice(seed * 7_919);
        let (mut tree, mut base) = (Tree::new(), None);
        let mut kept = BTreeMap::new();
        for _ in 0..8 {
            dice.change(&mut tree, 0);
            let (snapshot, root) = take(&line, &tree, base).await;
            base = Some(root);
            let mut expected = BTreeMap::new();
            flat(&tree, "", &mut expected);
            kept.insert(snapshot.number, (snapshot.id(), expected));
            if kept.len() > 1 && dice.roll(2) == 0 {
                let which = usize::try_from(dice.roll(kept.len() as u64 - 1)).unwrap();
                let number = *kept.keys().nth(which).unwrap();
                let (id, _) = kept.remove(&number).unwrap();
                line.catalog.release_snapshot(id, "expired").await.unwrap();
            }
            for (number, (_, expected)) in &kept {
                let number = Number(u32::try_from(*number).unwrap());
                assert_eq!(
                    &shown(&line, number).await,
                    expected,
                    "seed {seed}, snapshot {number}"
                );
            }
        }
        // All but the last go: one row a name is left, and no removal.
        let last = *kept.keys().last().unwrap();
        for (number, (id, _)) in &kept {
            if *number != last {
                line.catalog.release_snapshot(*id, "expired").await.unwrap();
            }
        }
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM entry")
            .fetch_one(line.catalog.pool())
            .await
            .unwrap();
        assert_eq!(
            usize::try_from(left).unwrap(),
            kept[&last].1.len(),
            "seed {seed}"
        );
    }
}
