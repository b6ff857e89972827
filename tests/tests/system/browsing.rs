//! Looking into snapshots: lists, searches, versions, as of any run.

use tests::args;
use tests::folder::Folder;
use tests::installation::job_id;

use crate::shared;

#[test]
fn folders_are_listed_as_they_were_at_any_run() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("listing");
    let root = Folder::open(&source);
    root.file(b"stays", b"1");
    root.file(b"goes", b"2");
    holdfast.job_over("listing", &source);
    let first = job_id(&holdfast.backup("listing", 0)).to_string();
    root.remove(b"goes");
    root.file(b"comes", b"3");
    let second = job_id(&holdfast.backup("listing", 0)).to_string();
    let place = format!("{}:{}", holdfast.client_name(), source.display());
    let names = |at: &str| {
        let listed = holdfast.console().json(args!["ls", &place, "--at", at]);
        let entries = listed["entries"]
            .as_array()
            .or_else(|| listed.as_array())
            .cloned();
        let entries = entries.unwrap_or_else(|| panic!("{listed}"));
        entries
            .iter()
            .map(|e| e["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["goes", "stays"]);
    assert_eq!(names(&second), ["comes", "stays"]);
    let newest = holdfast.console().ok(args!["ls", &place]);
    assert!(newest.says("comes") && !newest.says("goes"), "{newest}");
}

#[test]
fn a_file_is_found_and_its_versions_tell_what_happened_to_it() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("versions");
    let path = source.join("needle.txt");
    holdfast.job_over("versions", &source);
    let mut runs = Vec::new();
    for content in [Some("one"), Some("three"), None, Some("again, longer")] {
        match content {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        runs.push(job_id(&holdfast.backup("versions", 0)));
    }
    let found = holdfast.console().ok(["find", "needle.txt"]);
    assert!(found.says(path.to_str().unwrap()), "{found}");
    let place = format!("{}:{}", holdfast.client_name(), path.display());
    let versions = holdfast.console().json(args!["versions", &place]);
    let items = versions["items"]
        .as_array()
        .or_else(|| versions.as_array())
        .cloned();
    let items = items.unwrap_or_else(|| panic!("{versions}"));
    let seen: Vec<_> = items
        .iter()
        .map(|v| (v["job_id"].as_u64().unwrap(), v["entry"]["size"].as_u64()))
        .collect();
    let expected = [
        (runs[3], Some(13)),
        (runs[2], None),
        (runs[1], Some(5)),
        (runs[0], Some(3)),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn snapshots_runs_and_jobs_are_listed_with_what_they_hold() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("lists");
    std::fs::write(source.join("x"), "x").unwrap();
    holdfast.job_over("lists", &source);
    let run = holdfast.backup("lists", 0);
    for command in [
        vec!["snapshots", "--job", "lists"],
        vec!["runs", "--job", "lists"],
    ] {
        let listed = holdfast.console().json(command.clone());
        let items = listed["items"]
            .as_array()
            .or_else(|| listed.as_array())
            .cloned();
        let items = items.unwrap_or_else(|| panic!("{command:?}: {listed}"));
        assert_eq!(items.len(), 1, "{command:?}: {listed}");
        assert_eq!(items[0]["job_id"], run["job_id"]);
        assert_eq!(items[0]["counts"]["files"], 1);
    }
    let _ = holdfast.console().ok(["jobs"]).expect_text("lists");
    assert!(
        holdfast
            .console()
            .run(["status"])
            .expect_text("Director")
            .code
            < 2
    );
    let _ = holdfast
        .console()
        .run(["show", "999999"])
        .expect_code(2)
        .expect_text("999999");
}
