//! A whole configuration read, every kind of mistake reported with its place, and changes through the API's path.

use std::fs;
use std::path::PathBuf;

use common::config::LoadError;
use tempfile::TempDir;

use super::*;

const GOOD: &str = r#"
[director]
zone = "Europe/Berlin"
[storage.vault1]
[pool.main]
storage = "vault1"
keep = "30d"
max_volume = "2GiB"
[client.web01]
[fileset.home]
include = ["/home/", { path = "/srv", cross_file_systems = true }]
rules = ["exclude *.tmp", "exclude regex ^/home/[^/]+/\\.cache/", "include /home/keep.tmp"]
skip_caches = true
[schedule.nightly]
run = [{ at = "0 21 * * *", level = "incremental" }, { at = "0 3 * * sun", level = "full" }]
[job.nightly]
clients = ["web01"]
fileset = "home"
schedule = "nightly"
"#;

fn folder(main: &str, others: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("conf.d")).unwrap();
    fs::write(dir.path().join("director.toml"), main).unwrap();
    for (name, text) in others {
        fs::write(dir.path().join("conf.d").join(name), text).unwrap();
    }
    let path = dir.path().join("director.toml");
    (dir, path)
}

/// `file:line reason; remedy` of each problem, with the folder cut off.
fn problems(main: &str, others: &[(&str, &str)]) -> Vec<String> {
    let (dir, path) = folder(main, others);
    match load(&path) {
        Ok(_) => Vec::new(),
        Err(LoadError::Wrong(all)) => {
            let cut = format!("{}/", dir.path().display());
            all.0
                .iter()
                .map(|p| p.to_string().replace(&cut, ""))
                .collect()
        }
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn a_whole_configuration_is_read() {
    let (_dir, path) = folder(GOOD, &[("client-db.toml", "[client.db01]\n")]);
    let config = load(&path).unwrap();
    assert_eq!(config.director.zone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(config.clients.len(), 2);
    assert_eq!(config.jobs["nightly"].pool, "main");
    let fileset = &config.filesets["home"];
    let includes = &fileset.ordered.includes;
    assert_eq!(includes[0].path, b"/home");
    assert!(
        !includes[0].cross_file_systems
            && includes[1].cross_file_systems
            && includes[1].skip_caches
    );
    assert!(
        fileset.ordered.rules[0]
            .origin
            .ends_with("director.toml:12")
    );
    assert_eq!(fileset.ordered.rules[1].regex, "^/home/[^/]+/\\.cache/");
    let shown: Vec<String> = includes_of_text(&fileset.text)
        .into_iter()
        .map(|p| p.0)
        .collect();
    assert_eq!(shown, ["/home", "/srv"]);
}

#[test]
fn moving_a_fileset_to_another_line_does_not_change_its_text() {
    let (_a, one) = folder(GOOD, &[]);
    let (_b, two) = folder(&format!("\n\n{GOOD}"), &[]);
    assert_eq!(load(&one).unwrap().filesets, load(&two).unwrap().filesets);
    let (_c, three) = folder(&GOOD.replace("*.tmp\",", "*.temp\","), &[]);
    assert_ne!(load(&one).unwrap().filesets, load(&three).unwrap().filesets);
}

#[test]
fn every_mistake_is_named_with_file_line_and_remedy() {
    let main = r#"
[director]
listen = ["nowhere"]
zone = "Europe/Berln"
[storage.a]
[storage.b]
[pool.one]
[pool.two]
storage = "aa"
[client.web01]
[fileset.bad]
include = ["home", "/a/../b"]
rules = ["*.tmp", "exclude [z-a", "exclude regex (", "exclude ok"]
[schedule.never]
run = [{ at = "0 0 30 2 *" }, { at = "61 * * * *" }]
[job.j]
clients = ["web1", "web01", "web01"]
fileset = "bda"
schedule = "nightly"
[job.k]
clients = []
levl = "full"
"#;
    let found = problems(main, &[]);
    let expected = [
        (
            "director.toml:3: \"nowhere\" is not an address",
            "host:port",
        ),
        (
            "director.toml:4: \"Europe/Berln\" is not a time zone",
            "IANA",
        ),
        ("director.toml:7: pool one has no storage", "storage = "),
        (
            "director.toml:9: there is no storage \"aa\"",
            "did you mean \"a\"?",
        ),
        ("director.toml:12: \"home\" cannot be included", "\"/home\""),
        (
            "director.toml:12: \"/a/../b\" cannot be included",
            "without",
        ),
        ("director.toml:13: \"*.tmp\" is not a rule", "exclude *.tmp"),
        ("director.toml:13: the pattern of \"exclude [z-a\"", "`**`"),
        (
            "director.toml:13: the pattern of \"exclude regex (\"",
            "regex",
        ),
        (
            "director.toml:15: \"0 0 30 2 *\": no such day",
            "day of the month",
        ),
        ("director.toml:15: \"61 * * * *\": minute field", "0 to 59"),
        ("director.toml:16: job j has no pool", "pool = "),
        (
            "director.toml:17: there is no client \"web1\"",
            "did you mean \"web01\"?",
        ),
        ("director.toml:17: job j names client web01 twice", "remove"),
        (
            "director.toml:18: there is no fileset \"bda\"",
            "did you mean \"bad\"?",
        ),
        (
            "director.toml:19: there is no schedule \"nightly\"",
            "[schedule.nightly]",
        ),
        ("director.toml:20: job k has no clients", "clients = "),
        ("director.toml:20: job k has no fileset", "fileset = "),
        ("director.toml:20: job k has no pool", "pool = "),
        (
            "director.toml:22: unknown setting `levl`",
            "did you mean `level`?",
        ),
    ];
    for (start, remedy) in expected {
        let hit = found.iter().find(|f| f.starts_with(start));
        let hit = hit.unwrap_or_else(|| panic!("{start} not in {found:#?}"));
        assert!(hit.contains(remedy), "{remedy} not in {hit}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn a_name_defined_twice_names_both_places() {
    let found = problems(GOOD, &[("client-web01.toml", "# other\n[client.web01]\n")]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("conf.d/client-web01.toml:2: client web01 is defined twice"),
        "{found:?}"
    );
    assert!(found[0].contains("director.toml:9"), "{found:?}");
}

#[test]
fn a_broken_reload_changes_nothing_and_a_good_one_reports_what_changed() {
    let (dir, path) = folder(GOOD, &[]);
    let live = LiveConfig::open(&path).unwrap();
    let before = live.get();
    fs::write(&path, GOOD.replace("\"home\"", "\"hme\"")).unwrap();
    assert!(live.reload().is_err());
    assert_eq!(*live.get(), *before);
    fs::write(&path, GOOD.replace("30d", "60d")).unwrap();
    fs::write(dir.path().join("conf.d/client-x.toml"), "[client.x]\n").unwrap();
    assert_eq!(
        live.check().unwrap().changes,
        ["pool main changed", "client x added"]
    );
    assert_eq!(live.get().clients.len(), 1);
    live.reload().unwrap();
    assert_eq!(live.get().clients.len(), 2);
}

#[test]
fn the_api_writes_through_the_same_check_and_keeps_comments() {
    let (dir, path) = folder(
        GOOD,
        &[(
            "fileset-etc.toml",
            "# why\n[fileset.etc]\ninclude = [\"/etc\"] # all\n",
        )],
    );
    let live = LiveConfig::open(&path).unwrap();
    let table = |text: &str| {
        text.parse::<toml_edit::DocumentMut>()
            .unwrap()
            .as_table()
            .clone()
    };
    let mut draft = Draft::default();
    draft
        .set("fileset", "etc", table("rules = [\"exclude *.bak\"]"))
        .unwrap();
    draft
        .set(
            "job",
            "etc",
            table("clients = [\"web01\"]\nfileset = \"etc\"\npool = \"main\""),
        )
        .unwrap();
    let (report, files) = live.apply(&draft).unwrap();
    assert_eq!(report.changes, ["fileset etc changed", "job etc added"]);
    assert!(
        files[0].ends_with("conf.d/fileset-etc.toml") && files[1].ends_with("conf.d/job-etc.toml")
    );
    let text = fs::read_to_string(&files[0]).unwrap();
    assert!(
        text.starts_with("# why\n[fileset.etc]\ninclude = [\"/etc\"] # all\n"),
        "{text}"
    );
    assert_eq!(*live.get(), load(&path).unwrap());

    let mut wrong = Draft::default();
    wrong
        .set(
            "job",
            "bad",
            table("clients = [\"nobody\"]\nfileset = \"etc\""),
        )
        .unwrap();
    assert!(matches!(
        live.apply(&wrong),
        Err(EditError::Check(LoadError::Wrong(_)))
    ));
    assert!(!dir.path().join("conf.d/job-bad.toml").exists());
    assert!(matches!(
        wrong.set("job", "../x", table("")),
        Err(EditError::Name(_))
    ));
}
