//! Configurations with mistakes: all told at once with file, line and remedy, and nothing started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::args;
use tests::binaries::Program;
use tests::installation::{Installation, run_daemon};

use crate::shared;

const ENDS: Duration = Duration::from_secs(20);

/// Writes a configuration in a folder of its own.
fn write(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::Builder::new()
        .prefix("holdfast-config-")
        .tempdir_in(tests::postgres::base())
        .unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// Starts the program on this configuration: it must end with an error that says each of these.
#[track_caller]
fn refused(program: Program, name: &str, text: &str, parts: &[&str]) {
    let (folder, path) = write(name, text);
    let reply = run_daemon(program, &["--config", path.to_str().unwrap()], ENDS);
    assert_ne!(reply.code, 0, "{reply}");
    for part in parts {
        assert!(reply.says(part), "{part:?} expected of {reply}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left, [name], "nothing was started or made");
}

const DIRECTOR: &str = r#"[director]
listen = ["127.0.0.1:0"]
lisen = ["127.0.0.1:0"]
[storage.vault]
[pool.main]
storage = "valt"
max_volume = "2 GigaBananas"
[client.web]
[fileset.home]
include = ["home"]
[schedule.nightly]
run = [{ at = "0 25 * * *" }]
[job.nightly]
clients = ["webb"]
fileset = "hom"
schedule = "nightly"
pool = "main"
"#;

#[test]
fn all_mistakes_of_a_director_are_told_at_once_with_line_and_remedy() {
    let parts = [
        "director.toml:3",  // unknown key
        "director.toml:6",  // dangling storage
        "director.toml:7",  // size
        "director.toml:10", // relative include
        "director.toml:12", // schedule
        "director.toml:14", // dangling client
        "director.toml:15", // dangling FileSet
        "lisen",
        "valt",
        "webb",
    ];
    refused(Program::Director, "director.toml", DIRECTOR, &parts);
    let (_folder, path) = write("director.toml", DIRECTOR);
    let reply = run_daemon(
        Program::Director,
        &["--config", path.to_str().unwrap(), "check-config"],
        ENDS,
    );
    assert_ne!(reply.code, 0, "{reply}");
    assert!(parts.iter().all(|part| reply.says(part)), "{reply}");
}

#[test]
fn mistakes_of_the_other_daemons_are_told_too() {
    let text = "[storage]\nname = \"vault\"\nlisten = [\"127.0.0.1:0\"]\ndirector = [\"127.0.0.1:1\"]\ncolour = \"red\"\n";
    refused(
        Program::Storage,
        "storage.toml",
        text,
        &["storage.toml:5", "colour"],
    );
    let text = "[client]\nname = \"web\"\ndirector = [\"127.0.0.1:1\"]\npermit_restor = [\"/\"]\n";
    refused(
        Program::Client,
        "client.toml",
        text,
        &["client.toml:4", "permit_restor"],
    );
    refused(
        Program::Client,
        "client.toml",
        "[client\n",
        &["client.toml:1"],
    );
}

#[test]
fn a_daemon_without_its_configuration_or_certificate_says_what_to_do() {
    for program in [Program::Director, Program::Storage, Program::Client] {
        let reply = run_daemon(program, &["--config", "/nonexistent/x.toml"], ENDS);
        assert_ne!(reply.code, 0, "{reply}");
        assert!(reply.says("/nonexistent/x.toml"), "{reply}");
    }
    let text = "[client]\nname = \"web\"\ndirector = [\"127.0.0.1:1\"]\n";
    let (_folder, path) = write("client.toml", text);
    let reply = run_daemon(Program::Client, &["--config", path.to_str().unwrap()], ENDS);
    assert_ne!(reply.code, 0, "{reply}");
    assert!(reply.says("enrol"), "not enrolled, and how to: {reply}");
}

#[test]
fn a_reload_with_mistakes_changes_nothing() {
    let holdfast = Installation::start();
    let source = holdfast.scratch("reload");
    std::fs::write(source.join("x"), "x").unwrap();
    holdfast.job_over("reload", &source);
    holdfast.write_configuration(
        "bad.toml",
        "# a comment\n[job.bad]\nclients = [\"nobody\"]\nfileset = \"none\"\npool = \"main\"\n",
    );
    for command in ["check-config", "reload"] {
        let reply = holdfast.console().run([command]).expect_code(2);
        for part in ["bad.toml:3", "bad.toml:4", "nobody", "none"] {
            assert!(reply.says(part), "{part:?} expected of {reply}");
        }
    }
    holdfast.backup("reload", 0);
    let _ = holdfast
        .console()
        .run(["run", "bad"])
        .expect_code(2)
        .expect_text("bad");
    std::fs::remove_file(holdfast.root().join("director/conf.d/bad.toml")).unwrap();
    let _ = holdfast.console().ok(["check-config"]);
    let _ = holdfast.console().ok(["reload"]);
    holdfast.check_logs(&["bad.toml"]);
}

#[test]
fn protect_writes_a_job_that_a_person_can_read_and_that_runs() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("protected");
    std::fs::write(source.join("x"), "x").unwrap();
    std::fs::write(source.join("x.tmp"), "x").unwrap();
    let client = holdfast.client_name();
    let _ = holdfast.console().ok(args![
        "protect",
        &source,
        "--name",
        "protected",
        "--daily",
        "21:00",
        "--keep",
        "30d",
        "--exclude",
        "*.tmp",
        "--client",
        &client
    ]);
    let written: String = tests::corrupter::files(&holdfast.root().join("director/conf.d"))
        .iter()
        .filter(|(path, _)| path.to_str().unwrap().contains("protected"))
        .map(|(path, _)| std::fs::read_to_string(path).unwrap())
        .collect();
    for part in ["[job.protected]", "30d", "*.tmp", source.to_str().unwrap()] {
        assert!(written.contains(part), "{part:?} expected in {written}");
    }
    let jobs = holdfast.console().json(["jobs"]).to_string();
    assert!(
        jobs.contains("protected") && jobs.contains("next_run"),
        "{jobs}"
    );
    let run = holdfast.backup("protected", 0);
    assert_eq!(run["counts"]["files"], 1);
    assert!(run["keep_until"].is_string(), "{run}");
}

#[test]
fn what_protect_cannot_do_is_refused_with_the_reason() {
    let holdfast = shared::installation();
    let ask = |words: Vec<tests::console::Word>| holdfast.console().run(words).expect_code(2);
    let _ = ask(args!["protect", "relative/path", "--name", "r"]);
    let _ = ask(args![
        "protect", "/etc", "--name", "r", "--client", "nobody"
    ])
    .expect_text("nobody");
    let _ = ask(args!["protect", "/etc", "--name", "r", "--daily", "25:00"]).expect_text("25:00");
    let _ = ask(args!["protect", "/etc", "--name", "r", "--keep", "soon"]).expect_text("soon");
    assert!(!Path::new(&holdfast.root().join("director/conf.d/job-r.toml")).exists());
}
