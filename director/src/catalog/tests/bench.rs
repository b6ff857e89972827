//! Figures of docs/catalog.md, on a server with fsync on: size of a version, rate of an ingest, time of a page.
//!
//! `HOLDFAST_BENCH=2000000 cargo test --release -p director catalog::tests::bench -- --nocapture` (the number is files);
//! without the variable nothing is measured. The plan behind the page's time is tested at small scale in any case.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::object::attribute::Stat;
use common::object::entry::{Content, Entry, Kind};
use common::object::page_builder::{BuiltPage, PageBuilder};
use common::walk::{PageSource, Walk};

use super::super::browse::{DirId, NamePattern, Search};
use super::super::ingest::{Ingest, Leftovers};
use super::super::{Durability, Place};
use super::*;

#[derive(Default)]
pub(super) struct Pages(pub HashMap<PageId, Bytes>);

impl PageSource for Pages {
    type Error = std::io::Error;
    fn page(&mut self, id: PageId) -> Result<Bytes, std::io::Error> {
        self.0
            .get(&id)
            .cloned()
            .ok_or_else(|| std::io::Error::other("absent"))
    }
}

impl Pages {
    fn keep(&mut self, page: BuiltPage) -> Result<(), Infallible> {
        self.0.insert(page.id, page.bytes.into());
        Ok(())
    }

    pub fn directory(&mut self, entries: Vec<Entry>) -> PageId {
        let mut builder = PageBuilder::new();
        for entry in entries {
            builder.push(entry, &mut |page| self.keep(page)).unwrap();
        }
        builder.finish(&mut |page| self.keep(page)).unwrap()
    }

    /// Directories of 20 files with names of 12 to 27 bytes, 100 directories in each above.
    fn tree(&mut self, files: u64) -> PageId {
        let stat = Stat {
            mode: 0o644,
            size: 12_345,
            ..Stat::default()
        };
        let named = |name: String, kind| Entry::new(name.into_bytes(), kind, stat);
        let mut top = Vec::new();
        for above in 0..files.div_ceil(2000) {
            let mut dirs = Vec::new();
            for dir in 0..100 {
                let base = above * 2000 + dir * 20;
                let file = |n: u64| {
                    let tail = "abcdefghijklmnopq"
                        .get(..usize::try_from((base + n) % 16).unwrap_or(0))
                        .unwrap_or("");
                    named(format!("f{:07}{tail}.txt", base + n), Kind::File)
                };
                let page = self.directory((0..20).map(file).collect());
                let mut entry = named(format!("dir-{dir:03}"), Kind::Directory);
                entry.content = Content::Directory(page);
                dirs.push(entry);
            }
            let mut entry = named(format!("part-{above:06}"), Kind::Directory);
            entry.content = Content::Directory(self.directory(dirs));
            top.push(entry);
        }
        self.directory(top)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures() {
    let Some(files) = std::env::var("HOLDFAST_BENCH")
        .ok()
        .and_then(|n| n.parse::<u64>().ok())
    else {
        return;
    };
    let folder = tempfile::Builder::new()
        .prefix("holdfast-bench-")
        .tempdir_in("/tmp")
        .unwrap();
    let catalog = Catalog::open(&Place::Embedded(folder.path().into()), Durability::Required)
        .await
        .unwrap();
    let series = catalog
        .series_for("bench", Uuid::from_u128(1), "web01")
        .await
        .unwrap()
        .id;
    let rows = ingest(&catalog, series, files).await;
    sizes(&catalog, rows).await;
    browse(&catalog, series).await;
    busy(&catalog).await;
    catalog.close().await;
}

async fn ingest(catalog: &Catalog, series: SeriesId, files: u64) -> u64 {
    let mut pages = Pages::default();
    let root = pages.tree(files);
    let start = Instant::now();
    let (ingest, mut rows) = Ingest::begin(catalog, (series, Number(1)), Leftovers::Discard)
        .await
        .unwrap();
    let walker = tokio::task::spawn_blocking(move || {
        rows.walk(&mut Walk::reach(root), &mut pages).unwrap();
        rows.close().unwrap();
    });
    let counts = ingest.finish().await.unwrap();
    walker.await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "ingest: {} rows, {} directories in {seconds:.1} s = {:.0} rows/s",
        counts.versions,
        counts.directories,
        counts.versions as f64 / seconds
    );
    sqlx::query("UPDATE series SET head = 1, next_number = 2")
        .execute(catalog.pool())
        .await
        .unwrap();
    counts.versions
}

async fn sizes(catalog: &Catalog, rows: u64) {
    let sizes: Vec<(String, i64)> = sqlx::query_as(
        "SELECT CASE WHEN relkind = 'r' THEN 'rows' WHEN relname LIKE '%pkey' THEN 'key' ELSE 'since' END, \
         sum(pg_relation_size(oid))::bigint FROM pg_class WHERE relname ~ '^entry_[0-9]' AND relkind IN ('r', 'i') GROUP BY 1 ORDER BY 1",
    )
    .fetch_all(catalog.pool())
    .await
    .unwrap();
    let each = |bytes: i64| bytes as f64 / rows as f64;
    for (what, bytes) in &sizes {
        println!("size: {what} {:.1} bytes a version", each(*bytes));
    }
    let whole = each(sizes.iter().map(|(_, bytes)| bytes).sum());
    let dir: i64 = sqlx::query_scalar("SELECT pg_total_relation_size('dir')")
        .fetch_one(catalog.pool())
        .await
        .unwrap();
    println!(
        "size: {whole:.1} bytes a version, and {:.1} for directories",
        each(dir)
    );
    assert!(whole <= 170.0);
}

async fn browse(catalog: &Catalog, series: SeriesId) {
    let pattern = NamePattern::glob("*no such name*").unwrap();
    let (hits, calls, time) = find_all(catalog, series, &pattern).await;
    println!("find: a name nobody has: {hits} hits, {time:?} in {calls} calls");
    let pattern = NamePattern::glob("*").unwrap();
    let (hits, calls, time) = find_all(catalog, series, &pattern).await;
    println!("find: everything: {hits} hits, {time:?} in {calls} calls");
    let start = Instant::now();
    let size = catalog
        .subtree_size((series, Number(1)), DirId::ROOT, u64::MAX)
        .await
        .unwrap();
    println!(
        "size of everything: {} entries in {:?}",
        size.entries,
        start.elapsed()
    );
    let times = pages(catalog, (series, 1), DirId::ROOT, 500).await;
    println!(
        "page of 200 names, one version each: {}",
        percentiles(&times)
    );
    assert!(percentile(&times, 99) <= Duration::from_millis(10));
}

async fn find_all(
    catalog: &Catalog,
    series: SeriesId,
    pattern: &NamePattern,
) -> (usize, u32, Duration) {
    let search = Search {
        pattern,
        takes: &|_| true,
    };
    let (start, mut from, mut hits, mut calls) = (Instant::now(), None, 0, 0);
    loop {
        let page = catalog
            .find((series, &[Number(1)]), &search, from.as_ref(), 1000)
            .await
            .unwrap();
        calls += 1;
        hits += page.found.len();
        from = page.next;
        if from.is_none() {
            return (hits, calls, start.elapsed());
        }
    }
}

/// 1,000 names, each changed in each of 2,000 snapshots, in a partition with as many again.
async fn busy(catalog: &Catalog) {
    let series = catalog
        .series_for("busy", Uuid::from_u128(2), "db01")
        .await
        .unwrap()
        .id;
    fill(catalog, series, 1000, 2000).await;
    for (number, what) in [(2000, "the newest"), (1000, "an old"), (1, "the first")] {
        let times = pages(catalog, (series, number), DirId::ROOT, 100).await;
        println!(
            "page of 200 names with 2,000 versions each, {what} snapshot: {}",
            percentiles(&times)
        );
        assert!(percentile(&times, 99) <= Duration::from_millis(50));
    }
}

async fn fill(catalog: &Catalog, series: SeriesId, names: i32, snapshots: i32) {
    sqlx::query(
        "INSERT INTO entry SELECT 1, 1, $1, 1, s, 420, 0, 0, 1, 0, convert_to(format('name-%s.dat', lpad(n::text, 6, '0')), 'UTF8') \
         FROM generate_series(1, $3) s, generate_series(1, $2) n",
    )
    .bind(series.0)
    .bind(names)
    .bind(snapshots)
    .execute(catalog.pool())
    .await
    .unwrap();
    sqlx::query("UPDATE series SET head = $2, next_number = $2 + 1 WHERE id = $1")
        .bind(series.0)
        .bind(snapshots)
        .execute(catalog.pool())
        .await
        .unwrap();
}

async fn pages(
    catalog: &Catalog,
    (series, number): (SeriesId, u32),
    dir: DirId,
    count: u32,
) -> Vec<Duration> {
    let (mut times, mut after) = (Vec::new(), None::<Vec<u8>>);
    for _ in 0..count {
        let start = Instant::now();
        let page = catalog
            .list_directory((series, Number(number)), dir, after.as_deref(), 200)
            .await
            .unwrap();
        times.push(start.elapsed());
        after = page.next;
    }
    times.sort();
    times
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn percentiles(sorted: &[Duration]) -> String {
    format!(
        "p50 {:?}, p99 {:?}",
        percentile(sorted, 50),
        percentile(sorted, 99)
    )
}

#[tokio::test]
async fn a_page_costs_its_names_not_their_versions() {
    let line = Line::new().await;
    fill(&line.catalog, line.series.id, 300, 60).await;
    sqlx::query("VACUUM ANALYZE entry")
        .execute(line.catalog.pool())
        .await
        .unwrap();
    let sql = concat!(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) ",
        include_str!("../browse/page.sql")
    );
    let plan: serde_json::Value = sqlx::query_scalar(sql)
        .bind(line.series.id.0)
        .bind(1)
        .bind(&b""[..])
        .bind(30)
        .bind(200_i64)
        .bind(50_000)
        .fetch_one(line.catalog.pool())
        .await
        .unwrap();
    let mut touched = 0;
    count_rows(&plan[0]["Plan"], &mut touched);
    assert!(
        touched <= 200 * 10,
        "{touched} rows touched for 200 names: {plan:#}"
    );
}

#[tokio::test]
async fn a_page_of_a_search_costs_its_rows_not_those_before_it() {
    let line = Line::new().await;
    fill(&line.catalog, line.series.id, 5000, 2).await;
    for analyzed in [false, true] {
        if analyzed {
            sqlx::query("VACUUM ANALYZE entry")
                .execute(line.catalog.pool())
                .await
                .unwrap();
        }
        let sql = concat!(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) ",
            include_str!("../browse/find.sql")
        );
        let plan: serde_json::Value = sqlx::query_scalar(sql)
            .bind(line.series.id.0)
            .bind(1)
            .bind(&b"name-004000.dat"[..])
            .bind(vec![1, 2])
            .bind(&b"%"[..])
            .bind(400_i64)
            .fetch_one(line.catalog.pool())
            .await
            .unwrap();
        let mut touched = 0;
        count_rows(&plan[0]["Plan"], &mut touched);
        assert!(
            (400..=500).contains(&touched),
            "{touched} rows touched for 400: {plan:#}"
        );
    }
}

/// Rows that scans of the plan have produced or thrown away.
fn count_rows(node: &serde_json::Value, sum: &mut u64) {
    let number = |key: &str| node[key].as_u64().unwrap_or(0);
    if node["Relation Name"].is_string() {
        *sum += (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops");
    }
    for below in node["Plans"].as_array().into_iter().flatten() {
        count_rows(below, sum);
    }
}
