//! What an operator sees while looking for files.

use super::super::browse::{DirId, NamePattern, Search};
use super::*;

/// Three snapshots: `/etc/{hosts,passwd}`, `/var/log/{app.log,app.log.1}`, some of it changing.
async fn bench() -> Line {
    let line = Line::new().await;
    for _ in 0..3 {
        line.snapshot(None).await;
    }
    let id = line.series.id;
    for (dir, name) in [((2, 1), "etc"), ((3, 1), "var"), ((4, 3), "log")] {
        put_dir(&line.catalog, id, dir, name).await;
    }
    let rows = [
        (2, "hosts", 1, 10),
        (2, "hosts", 3, 12),
        (2, "passwd", 1, 100),
        (2, "passwd", 2, -1),
        (4, "app.log", 1, 1000),
        (4, "app.log", 2, 2000),
        (4, "app.log.1", 2, 1000),
        (4, "100%_x", 1, 5),
    ];
    put_rows(&line.catalog, id, &rows).await;
    line
}

#[tokio::test]
async fn a_directory_is_paged_by_name() {
    let line = bench().await;
    let at = |n| (line.series.id, Number(n));
    let log = line
        .catalog
        .directory(line.series.id, b"/var/log/")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(log, DirId(4));
    let page = line
        .catalog
        .list_directory(at(2), log, None, 2)
        .await
        .unwrap();
    let names = |page: &super::super::browse::Listing| {
        page.entries
            .iter()
            .map(|e| String::from_utf8(e.name.clone()).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&page), ["100%_x", "app.log"]);
    let page = line
        .catalog
        .list_directory(at(2), log, page.next.as_deref(), 2)
        .await
        .unwrap();
    assert_eq!(
        (names(&page), page.next.clone()),
        (vec!["app.log.1".to_owned()], None)
    );
    let first = line
        .catalog
        .list_directory(at(1), log, None, 10)
        .await
        .unwrap();
    assert_eq!(names(&first), ["100%_x", "app.log"]);
    assert_eq!(
        line.catalog
            .directory(line.series.id, b"/no/such")
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        line.catalog.directory(line.series.id, b"/").await.unwrap(),
        Some(DirId::ROOT)
    );
}

#[tokio::test]
async fn a_path_has_a_history() {
    let line = bench().await;
    let hosts = line
        .catalog
        .versions(line.series.id, b"/etc/hosts", None, 10)
        .await
        .unwrap();
    let shown: Vec<_> = hosts
        .iter()
        .map(|v| (v.number.0, v.entry.size_bytes, v.job_id.0))
        .collect();
    assert_eq!(shown, [(3, 12, 3), (1, 10, 1)]);
    let passwd = line
        .catalog
        .versions(line.series.id, b"/etc/passwd", None, 10)
        .await
        .unwrap();
    assert_eq!(
        passwd
            .iter()
            .map(|v| v.entry.kind.is_some())
            .collect::<Vec<_>>(),
        [false, true]
    );
    let older = line
        .catalog
        .versions(line.series.id, b"/etc/hosts", Some(Number(3)), 10)
        .await
        .unwrap();
    assert_eq!(older.len(), 1);
    // When the snapshot that stored it first is released, the next one that shows it takes its place.
    let one = line
        .catalog
        .snapshot_of_run(JobId(1))
        .await
        .unwrap()
        .unwrap();
    line.catalog
        .release_snapshot(one.id, "expired")
        .await
        .unwrap();
    let hosts = line
        .catalog
        .versions(line.series.id, b"/etc/hosts", None, 10)
        .await
        .unwrap();
    assert_eq!(hosts.iter().map(|v| v.number.0).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(
        line.catalog
            .versions(line.series.id, b"/", None, 10)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        line.catalog
            .versions(line.series.id, b"/etc/none", None, 10)
            .await
            .unwrap(),
        []
    );
}

/// All hits of a search: path and the snapshot that shows it; in pages of `limit`.
async fn find(line: &Line, kept: &[u32], pattern: &str, limit: u32) -> Vec<(String, u32)> {
    let pattern = NamePattern::glob(pattern).unwrap();
    let search = Search {
        pattern: &pattern,
        takes: &|_| true,
    };
    let kept: Vec<Number> = kept.iter().copied().map(Number).collect();
    let (mut hits, mut from) = (Vec::new(), None);
    loop {
        let page = line
            .catalog
            .find((line.series.id, &kept), &search, from.as_ref(), limit)
            .await
            .unwrap();
        assert!(page.found.len() <= limit as usize);
        hits.extend(
            page.found
                .into_iter()
                .map(|m| (String::from_utf8(m.found.path).unwrap(), m.shown_by.0)),
        );
        assert!(hits.len() < 10_000, "it goes round and round");
        from = page.next;
        if from.is_none() {
            return hits;
        }
    }
}

#[tokio::test]
async fn names_are_found_by_pattern() {
    let line = bench().await;
    let find = async |pattern: &str, number| {
        let hits = find(&line, &[number], pattern, 10).await;
        hits.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(find("app*", 1).await, ["/var/log/app.log"]);
    assert_eq!(
        find("app*", 3).await,
        ["/var/log/app.log", "/var/log/app.log.1"]
    );
    assert_eq!(find("passwd", 1).await, ["/etc/passwd"]);
    assert_eq!(find("passwd", 3).await, [] as [&str; 0], "it is gone");
    assert_eq!(find("100%_*", 3).await, ["/var/log/100%_x"]);
    assert_eq!(find("100%?x", 3).await, ["/var/log/100%_x"]);
    assert_eq!(
        find("1000*", 3).await,
        [] as [&str; 0],
        "% is a plain character"
    );
    assert_eq!(
        find("{hosts,*.[0-9]}", 3).await,
        ["/etc/hosts", "/var/log/app.log.1"]
    );
    assert_eq!(find("log", 3).await, ["/var/log"]);
    assert_eq!(find("*", 3).await.len(), 7);
    assert!(NamePattern::glob("[").is_err());
    assert!(NamePattern::glob("").is_err());
}

#[tokio::test]
async fn a_search_over_snapshots_shows_the_newest_version_that_one_of_them_has() {
    let line = bench().await;
    let owned = |hits: &[(&str, u32)]| -> Vec<(String, u32)> {
        hits.iter().map(|(p, n)| ((*p).to_owned(), *n)).collect()
    };
    for limit in [1, 2, 100] {
        assert_eq!(
            find(&line, &[1, 2, 3], "{passwd,hosts,app.log}", limit).await,
            owned(&[
                ("/etc/hosts", 3),
                ("/etc/passwd", 1),
                ("/var/log/app.log", 3)
            ])
        );
        assert_eq!(
            find(&line, &[1, 2], "{passwd,hosts,app.log}", limit).await,
            owned(&[
                ("/etc/hosts", 2),
                ("/etc/passwd", 1),
                ("/var/log/app.log", 2)
            ])
        );
        assert_eq!(
            find(&line, &[2, 3], "passwd", limit).await,
            owned(&[]),
            "no snapshot searched has it"
        );
    }
    assert_eq!(find(&line, &[], "*", 10).await, owned(&[]));
}

#[tokio::test]
async fn a_search_loses_nothing_at_the_ends_of_its_pages_and_chunks() {
    let line = Line::new().await;
    line.snapshot(None).await;
    // More versions of one name than the first chunks have rows, between names with one.
    sqlx::query(
        "INSERT INTO entry SELECT 1, 1, $1, 1, s, 420, 0, 0, 1, 0, convert_to(format('n-%s', lpad(n::text, 4, '0')), 'UTF8') \
         FROM generate_series(1, 500) n, generate_series(1, CASE WHEN n = 250 THEN 1000 ELSE 1 END) s",
    )
    .bind(line.series.id.0)
    .execute(line.catalog.pool())
    .await
    .unwrap();
    let expected: Vec<(String, u32)> = (1..=500).map(|n| (format!("/n-{n:04}"), 1)).collect();
    for limit in [1, 7, 185, 186, 187, 1000] {
        assert_eq!(find(&line, &[1], "*", limit).await, expected, "{limit}");
    }
    assert_eq!(find(&line, &[1], "*499", 5).await, expected[498..499]);
}

#[tokio::test]
async fn what_a_run_stored_is_listed() {
    let line = bench().await;
    let place = (line.series.id, Number(2));
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let page = line
            .catalog
            .saved_by(place, cursor.as_ref(), 2)
            .await
            .unwrap();
        names.extend(
            page.entries
                .into_iter()
                .map(|f| (String::from_utf8(f.path).unwrap(), f.entry.kind.is_some())),
        );
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let names: Vec<(&str, bool)> = names.iter().map(|(n, k)| (n.as_str(), *k)).collect();
    assert_eq!(
        names,
        [
            ("/etc/passwd", false),
            ("/var/log/app.log", true),
            ("/var/log/app.log.1", true)
        ]
    );
    let above = line
        .catalog
        .saved_by((line.series.id, Number(4)), None, 2)
        .await
        .unwrap();
    assert_eq!(above.entries, []);
}

#[tokio::test]
async fn a_subtree_is_counted_up_to_a_bound() {
    let line = bench().await;
    let size = async |number, dir, bound| {
        line.catalog
            .subtree_size((line.series.id, Number(number)), dir, bound)
            .await
            .unwrap()
    };
    let whole = size(2, DirId::ROOT, 1000).await;
    assert_eq!(
        (
            whole.entries,
            whole.files,
            whole.directories,
            whole.size_bytes
        ),
        (7, 4, 3, 3015)
    );
    assert!(whole.complete);
    let etc = size(1, DirId(2), 1000).await;
    assert_eq!((etc.entries, etc.size_bytes), (2, 110));
    let cut = size(2, DirId::ROOT, 2).await;
    assert!(!cut.complete && cut.entries < 7);
}
