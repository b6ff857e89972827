//! Comparisons of real files with the streams they came from.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;
use crate::compare::difference::Difference;
use crate::restore::Status;
use crate::restore::test_server::{Server, read_tree};
use crate::restore::tests::{context, order};

fn furnish(path: &Path) {
    let write = |name: &str, content: &[u8]| std::fs::write(path.join(name), content).unwrap();
    std::fs::create_dir_all(path.join("d/e")).unwrap();
    for name in [
        "same", "content", "mode", "mtime", "gone", "unlinked", "d/deep",
    ] {
        write(name, name.repeat(20_000).as_bytes());
    }
    std::fs::hard_link(path.join("unlinked"), path.join("unlinked2")).unwrap();
    symlink("here", path.join("link")).unwrap();
    let sparse = std::fs::File::create(path.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &[1; 100], 700_000).unwrap();
}

fn compare(
    path: &Path,
    server: &Server,
    nodes: &[crate::restore::test_server::Node],
) -> (CompareOutcome, Vec<String>) {
    let (context, lines) = context();
    let outcome = run(&order(path), &mut server.stream(nodes), &context);
    let lines = lines.lock().iter().map(|(_, l)| l.clone()).collect();
    (outcome, lines)
}

#[test]
fn an_untouched_tree_is_identical() {
    let tmp = tempfile::tempdir().unwrap();
    furnish(tmp.path());
    let nodes = read_tree(tmp.path());
    for window_entries in [1, 3, 1000] {
        let server = Server {
            chunk_names: true,
            window_entries,
            chunk_bytes: 3000,
            ..Server::default()
        };
        let (outcome, lines) = compare(tmp.path(), &server, &nodes);
        assert_eq!(outcome.status, Status::Ok, "{lines:?}");
        assert_eq!(lines, ["12 of 12 identical"]);
    }
}

#[test]
fn every_difference_is_named() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path();
    furnish(path);
    let nodes = read_tree(path);
    let keep_time = |name: &str, change: &dyn Fn(&Path)| {
        let file = path.join(name);
        let before = std::fs::metadata(&file).unwrap().modified().unwrap();
        change(&file);
        std::fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(before)
            .unwrap();
    };
    keep_time("content", &|f| {
        let mut bytes = std::fs::read(f).unwrap();
        bytes[99_999] ^= 1;
        std::fs::write(f, bytes).unwrap();
    });
    keep_time("mode", &|f| {
        std::fs::set_permissions(f, PermissionsExt::from_mode(0o4711)).unwrap()
    });
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
    std::fs::File::options()
        .write(true)
        .open(path.join("mtime"))
        .unwrap()
        .set_modified(later)
        .unwrap();
    std::fs::remove_file(path.join("gone")).unwrap();
    let copy = std::fs::read(path.join("unlinked2")).unwrap();
    keep_time("unlinked2", &|f| {
        std::fs::remove_file(f).unwrap();
        std::fs::write(f, &copy).unwrap();
    });
    std::fs::remove_file(path.join("link")).unwrap();
    std::fs::create_dir(path.join("link")).unwrap();
    let server = Server {
        chunk_names: true,
        lost: vec![b"same".to_vec()],
        chunk_bytes: 10_000,
        ..Server::default()
    };
    let (outcome, lines) = compare(path, &server, &nodes);
    assert_eq!(outcome.status, Status::Warnings);
    let found: Vec<(String, Vec<Difference>)> = outcome
        .findings
        .paths
        .iter()
        .map(|(p, d)| (String::from_utf8(p.clone()).unwrap(), d.clone()))
        .collect();
    let says = |name: &str| {
        let found = found.iter().find(|(p, _)| p == name);
        found.map(|(_, d)| d.clone()).unwrap_or_default()
    };
    assert_eq!(says("content"), [Difference::Content]);
    assert_eq!(says("mode"), [Difference::Mode]);
    assert_eq!(says("mtime"), [Difference::Mtime]);
    assert_eq!(says("gone"), [Difference::Missing]);
    assert_eq!(says("link"), [Difference::Kind]);
    assert_eq!(says("same"), [Difference::Lost]);
    assert!(says("unlinked2").contains(&Difference::Links), "{found:?}");
    assert!(says("d/deep").is_empty() && says("sparse").is_empty());
    assert!(lines.iter().any(|l| l == "mode differs: mode"), "{lines:?}");
    assert!(
        lines
            .last()
            .unwrap()
            .starts_with("5 of 12 identical; differences: "),
        "{lines:?}"
    );
}

#[test]
fn a_folder_that_is_not_there_is_an_error_of_its_own() {
    let (outcome, _) = compare(Path::new("/no/such/folder"), &Server::default(), &[]);
    assert_eq!(outcome.status, Status::Error);
    assert!(outcome.fault.unwrap().text.contains("/no/such/folder"));
}
