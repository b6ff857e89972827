//! What an operator sees while looking for files.

use super::super::browse::{DirId, NamePattern};
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

#[tokio::test]
async fn names_are_found_by_pattern() {
    let line = bench().await;
    let find = async |pattern: &str, number| {
        let pattern = NamePattern::glob(pattern).unwrap();
        let page = line
            .catalog
            .find((line.series.id, Number(number)), &pattern, None, 10)
            .await
            .unwrap();
        assert_eq!(page.next, None);
        page.found
            .into_iter()
            .map(|(_, f)| String::from_utf8(f.path).unwrap())
            .collect::<Vec<_>>()
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
    assert_eq!(find("*", 99).await.len(), 7, "above the head is the head");
    assert!(NamePattern::glob("[").is_err());
    assert!(NamePattern::glob("").is_err());
}

#[tokio::test]
async fn a_search_is_paged_within_and_across_series() {
    let line = bench().await;
    let other = line
        .catalog
        .series_for("nightly", Uuid::from_u128(2), "db01")
        .await
        .unwrap();
    put_rows(&line.catalog, other.id, &[(1, "app.conf", 1, 1)]).await;
    sqlx::query("UPDATE series SET head = 1, next_number = 2 WHERE id = $1")
        .bind(other.id.0)
        .execute(line.catalog.pool())
        .await
        .unwrap();
    let pattern = NamePattern::glob("app*").unwrap();
    let (mut paths, mut cursor, mut calls) = (Vec::new(), None, 0);
    loop {
        let page = line
            .catalog
            .find_everywhere(&pattern, cursor.as_ref(), 1)
            .await
            .unwrap();
        paths.extend(
            page.found
                .into_iter()
                .map(|(s, f)| (s, String::from_utf8(f.path).unwrap())),
        );
        calls += 1;
        cursor = page.next;
        if cursor.is_none() || calls > 20 {
            break;
        }
    }
    let expected = ["/var/log/app.log", "/var/log/app.log.1", "/app.conf"];
    assert_eq!(
        paths.iter().map(|(_, p)| p.as_str()).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(paths[2].0, other.id);
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
