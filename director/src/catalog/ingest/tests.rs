//! From pages to rows: what a person sees in the catalog after walks over real pages.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use bytes::Bytes;
use common::ids::PageId;
use common::object::attribute::{FileTime, Stat};
use common::object::entry::{Content, Entry, Kind};
use common::object::page_builder::{BuiltPage, PageBuilder};
use common::walk::{PageSource, Roots, Walk};

use super::super::browse::{DirId, FileEntry};
use super::super::testing::catalog;
use super::super::{Catalog, CatalogError, Number, SeriesId};
use super::{Ingest, IngestCounts, Leftovers};

#[derive(Debug, thiserror::Error)]
#[error("absent")]
struct Absent;

#[derive(Clone, Default)]
struct Store(HashMap<PageId, Bytes>);

impl PageSource for Store {
    type Error = Absent;
    fn page(&mut self, id: PageId) -> Result<Bytes, Absent> {
        self.0.get(&id).cloned().ok_or(Absent)
    }
}

impl Store {
    /// Stores the pages of a tree (paths and sizes; one that ends in `/` is an empty directory); returns its root.
    fn put(&mut self, tree: &[(&str, u64)]) -> PageId {
        let mut names: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
        for (path, size) in tree {
            match path.split_once('/') {
                Some((dir, rest)) => names.entry(dir).or_default().push((rest, *size)),
                None if path.is_empty() => {}
                None => {
                    names.insert(path, vec![("", *size)]);
                }
            }
        }
        let files: BTreeMap<&str, bool> = tree
            .iter()
            .filter(|(p, _)| !p.contains('/'))
            .map(|(p, _)| (*p, true))
            .collect();
        let mut builder = PageBuilder::new();
        for (name, below) in names {
            let entry = if files.contains_key(name) {
                file(name, below[0].1)
            } else {
                let mut entry = Entry::new(name.into(), Kind::Directory, Stat::default());
                entry.content = Content::Directory(self.put(&below));
                entry
            };
            builder.push(entry, &mut |page| self.keep(page)).unwrap();
        }
        builder.finish(&mut |page| self.keep(page)).unwrap()
    }

    fn keep(&mut self, page: BuiltPage) -> Result<(), Infallible> {
        self.0.insert(page.id, page.bytes.into());
        Ok(())
    }
}

fn file(name: &str, size: u64) -> Entry {
    let stat = Stat {
        mode: 0o644,
        uid: 1000,
        gid: u32::MAX,
        size,
        mtime: FileTime {
            secs: 1_700_000_000,
            nanos: 5,
        },
        ..Stat::default()
    };
    Entry::new(name.into(), Kind::File, stat)
}

struct Bench {
    catalog: Catalog,
    series: SeriesId,
    store: Store,
}

impl Bench {
    async fn new() -> Self {
        let catalog = catalog().await;
        let series = catalog
            .series_for("nightly", uuid::Uuid::new_v4(), "web01")
            .await
            .unwrap()
            .id;
        Self {
            catalog,
            series,
            store: Store::default(),
        }
    }

    /// Ingests the difference of two trees under a number.
    async fn ingest(&mut self, number: u32, roots: &[Roots], leftovers: Leftovers) -> IngestCounts {
        let place = (self.series, Number(number));
        let (ingest, mut rows) = Ingest::begin(&self.catalog, place, leftovers)
            .await
            .unwrap();
        let (roots, mut store) = (roots.to_vec(), self.store.clone());
        tokio::task::spawn_blocking(move || {
            for roots in roots {
                rows.walk(&mut Walk::new(roots), &mut store).unwrap();
            }
            rows.close().unwrap();
        })
        .await
        .unwrap();
        ingest.finish().await.unwrap()
    }

    /// A whole snapshot: ingest and head, without the rest of publishing.
    async fn snapshot(
        &mut self,
        number: u32,
        tree: &[(&str, u64)],
        base: Option<PageId>,
    ) -> PageId {
        let root = self.store.put(tree);
        let roots = Roots {
            new: Some(root),
            base,
            ..Roots::default()
        };
        self.ingest(number, &[roots], Leftovers::Discard).await;
        self.set_head(number).await;
        root
    }

    async fn set_head(&self, number: u32) {
        sqlx::query("UPDATE series SET head = $2, next_number = $2 + 1 WHERE id = $1")
            .bind(self.series.0)
            .bind(Number(number).column())
            .execute(self.catalog.pool())
            .await
            .unwrap();
    }

    /// Paths and sizes below a directory as of a snapshot, read page by page.
    async fn tree(&self, number: u32) -> BTreeMap<String, u64> {
        let mut out = BTreeMap::new();
        let mut open = vec![(String::new(), DirId::ROOT)];
        while let Some((path, dir)) = open.pop() {
            for entry in self.list(number, dir).await {
                let name = String::from_utf8(entry.name.clone()).unwrap();
                let whole = format!("{path}{name}");
                if entry.kind == Some(Kind::Directory) {
                    let absolute = format!("/{whole}");
                    let found = self
                        .catalog
                        .directory(self.series, absolute.as_bytes())
                        .await;
                    open.push((format!("{whole}/"), found.unwrap().unwrap()));
                    out.insert(format!("{whole}/"), 0);
                } else {
                    out.insert(whole, entry.size_bytes);
                }
            }
        }
        out
    }

    async fn list(&self, number: u32, dir: DirId) -> Vec<FileEntry> {
        let (mut out, mut after) = (Vec::new(), None);
        loop {
            let place = (self.series, Number(number));
            let page = self
                .catalog
                .list_directory(place, dir, after.as_deref(), 3)
                .await
                .unwrap();
            out.extend(page.entries);
            match page.next {
                Some(next) => after = Some(next),
                None => return out,
            }
        }
    }

    async fn rows(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM entry")
            .fetch_one(self.catalog.pool())
            .await
            .unwrap()
    }
}

/// What [`Bench::tree`] must show for a tree.
fn shown(tree: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    for (path, size) in tree {
        for (at, _) in path.match_indices('/') {
            out.insert(path[..=at].to_owned(), 0);
        }
        if !path.ends_with('/') {
            out.insert((*path).to_owned(), *size);
        }
    }
    out
}

const FIRST: &[(&str, u64)] = &[
    ("etc/hosts", 10),
    ("etc/ssl/cert", 20),
    ("etc/ssl/key", 30),
    ("home/ann/a", 1),
    ("home/ann/b", 2),
    ("home/bob/c", 3),
    ("top", 7),
    ("var/empty/", 0),
];

#[tokio::test]
async fn each_snapshot_shows_its_own_tree() {
    let mut bench = Bench::new().await;
    let second: &[(&str, u64)] = &[
        ("etc/hosts", 11),
        ("etc/ssl", 5),
        ("home/ann/a", 1),
        ("home/cat/d/e/f", 4),
        ("top", 7),
        ("var/empty/", 0),
    ];
    let one = bench.snapshot(1, FIRST, None).await;
    let two = bench.snapshot(2, second, Some(one)).await;
    // What was gone comes back, in directories the catalog knows.
    bench.snapshot(3, FIRST, Some(two)).await;
    for (number, tree) in [(1, FIRST), (2, second), (3, FIRST)] {
        assert_eq!(bench.tree(number).await, shown(tree), "snapshot {number}");
    }
    let place = (bench.series, Number(1));
    let entry = bench
        .catalog
        .lookup(place, b"/home/ann/b")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (entry.size_bytes, entry.mode, entry.uid, entry.gid),
        (2, 0o644, 1000, u32::MAX)
    );
    assert_eq!(entry.mtime_ns, 1_700_000_000_000_000_005);
    assert!(
        bench
            .catalog
            .lookup((bench.series, Number(2)), b"/home/ann/b")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_unchanged_tree_adds_no_row() {
    let mut bench = Bench::new().await;
    let one = bench.snapshot(1, FIRST, None).await;
    let before = bench.rows().await;
    let roots = Roots {
        new: Some(one),
        base: Some(one),
        ..Roots::default()
    };
    let counts = bench.ingest(2, &[roots], Leftovers::Discard).await;
    assert_eq!(counts, IngestCounts::default());
    assert_eq!(bench.rows().await, before);
}

#[tokio::test]
async fn a_tree_told_whole_removes_what_it_lacks() {
    let mut bench = Bench::new().await;
    bench.snapshot(1, FIRST, None).await;
    let second: &[(&str, u64)] = &[("etc/hosts", 11), ("new/x", 1)];
    let root = bench.store.put(second);
    let whole = Roots {
        new: Some(root),
        ..Roots::default()
    };
    bench.ingest(2, &[whole], Leftovers::Discard).await;
    let place = (bench.series, Number(2));
    assert!(bench.catalog.remove_untold(place).await.unwrap() > 0);
    assert_eq!(bench.catalog.remove_untold(place).await.unwrap(), 0);
    bench.set_head(2).await;
    assert_eq!(bench.tree(2).await, shown(second));
    assert_eq!(bench.tree(1).await, shown(FIRST));
}

#[tokio::test]
async fn what_is_not_published_is_not_seen_and_can_be_aborted() {
    let mut bench = Bench::new().await;
    let one = bench.snapshot(1, FIRST, None).await;
    let before = bench.rows().await;
    let new = Some(bench.store.put(&[("top", 8), ("new/x", 1)]));
    bench
        .ingest(
            2,
            &[Roots {
                new,
                base: Some(one),
                ..Roots::default()
            }],
            Leftovers::Discard,
        )
        .await;
    assert!(bench.rows().await > before);
    assert_eq!(
        bench.tree(2).await,
        shown(FIRST),
        "above the head nothing is shown"
    );
    let place = (bench.series, Number(2));
    let (ingest, rows) = Ingest::begin(&bench.catalog, place, Leftovers::Keep)
        .await
        .unwrap();
    drop(rows);
    ingest.abort().await.unwrap();
    assert_eq!(bench.rows().await, before);
    let published = Ingest::begin(&bench.catalog, (bench.series, Number(1)), Leftovers::Keep).await;
    assert!(matches!(published, Err(CatalogError::Conflict { .. })));
}

#[tokio::test]
async fn a_checkpoint_and_the_rest_add_up_without_doubles() {
    let mut bench = Bench::new().await;
    let part = bench
        .store
        .put(&[("etc/hosts", 10), ("etc/ssl/cert", 20), ("etc/ssl/key", 30)]);
    let whole = bench.store.put(FIRST);
    let first = Roots {
        new: Some(part),
        unfinished: true,
        ..Roots::default()
    };
    let rest = Roots {
        new: Some(whole),
        done: Some(part),
        done_unfinished: true,
        ..Roots::default()
    };
    // In one ingest, then again after a restart that does not know what was written.
    bench.ingest(1, &[first, rest], Leftovers::Discard).await;
    let rows = bench.rows().await;
    let again = Roots {
        new: Some(whole),
        ..Roots::default()
    };
    bench.ingest(1, &[again], Leftovers::Keep).await;
    assert_eq!(
        bench.rows().await,
        rows,
        "the same rows twice are there once"
    );
    bench.set_head(1).await;
    assert_eq!(bench.tree(1).await, shown(FIRST));
}

#[tokio::test]
async fn a_walk_that_gives_up_is_said() {
    let bench = Bench::new().await;
    let place = (bench.series, Number(1));
    let (ingest, rows) = Ingest::begin(&bench.catalog, place, Leftovers::Discard)
        .await
        .unwrap();
    drop(rows);
    let error = ingest.finish().await.unwrap_err();
    assert!(error.to_string().contains("gave up"), "{error}");
}

#[tokio::test]
async fn many_batches_keep_directories_apart() {
    let mut bench = Bench::new().await;
    let names: Vec<String> = (0..40_000)
        .map(|n| format!("d{:03}/e{}/f{n}", n % 400, n % 3))
        .collect();
    let tree: Vec<(&str, u64)> = names.iter().map(|n| (n.as_str(), 1)).collect();
    let new = Some(bench.store.put(&tree));
    let counts = bench
        .ingest(
            1,
            &[Roots {
                new,
                ..Roots::default()
            }],
            Leftovers::Discard,
        )
        .await;
    assert_eq!(
        counts,
        IngestCounts {
            versions: 40_000 + 400 + 1200,
            removals: 0,
            directories: 1600
        }
    );
    bench.set_head(1).await;
    let path = b"/d399/e1/f799";
    assert!(
        bench
            .catalog
            .lookup((bench.series, Number(1)), path)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        bench
            .catalog
            .lookup((bench.series, Number(1)), b"/d398/e1/f799")
            .await
            .unwrap()
            .is_none()
    );
}
