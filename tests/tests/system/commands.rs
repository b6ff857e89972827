//! Content that comes from a command's output, and goes into a command on restore.

use tests::args;
use tests::installation::restored;

use crate::shared;

/// A command that prints `content`, and on restore writes what it gets to `taken`.
fn fileset(path: &str, read: &str, write: &str) -> String {
    format!(
        "commands = [{{ path = {path:?}, read = [\"sh\", \"-c\", {read:?}], write = [{write}] }}]"
    )
}

#[test]
fn the_output_of_a_command_is_saved_and_goes_into_a_command_in_place() {
    let holdfast = shared::installation();
    let folder = holdfast.scratch("command-ok");
    let (dump, taken) = (folder.join("db.sql"), folder.join("taken"));
    let write = format!("\"sh\", \"-c\", \"cat >{}\"", taken.display());
    let path = dump.to_str().unwrap();
    holdfast.job("command-ok", &fileset(path, "seq 1 100000", &write));
    let run = holdfast.backup("command-ok", 0);
    assert_eq!(run["counts"]["files"], 1);
    holdfast.restore_with(args!["--job", "command-ok", "--in-place"], 0);
    let expected: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), expected);
    assert!(!dump.exists(), "what a command takes is no file");
    // In a folder a person wants to look at it.
    let to = holdfast.absent("command-ok");
    holdfast.restore("command-ok", &to);
    let looked_at = std::fs::read_to_string(restored(&to, &dump)).unwrap();
    assert_eq!(looked_at, expected);
}

#[test]
fn without_a_command_to_take_it_the_output_comes_back_as_a_file() {
    let holdfast = shared::installation();
    holdfast.job(
        "command-file",
        &fileset("/dumps/list.txt", "printf 'a\\nb\\n'", ""),
    );
    holdfast.backup("command-file", 0);
    let to = holdfast.absent("command-file");
    holdfast.restore("command-file", &to);
    let path = restored(&to, std::path::Path::new("/dumps/list.txt"));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "a\nb\n");
}

#[test]
fn a_command_that_fails_fails_the_run() {
    let holdfast = shared::installation();
    let failing = "echo half; echo the database is gone >&2; exit 3";
    holdfast.job("command-fails", &fileset("/dumps/db.sql", failing, ""));
    let run = holdfast.backup("command-fails", 2);
    assert_eq!(run["status"], "error");
    let log = holdfast.log_of(&run);
    for part in ["/dumps/db.sql", "3", "the database is gone"] {
        assert!(log.contains(part), "{part:?} expected in {log}");
    }
    // A program that does not exist is no better.
    let missing = "commands = [{ path = \"/dumps/x\", read = [\"/no/such/program\"] }]";
    holdfast.job("command-missing", missing);
    let run = holdfast.backup("command-missing", 2);
    assert!(holdfast.log_of(&run).contains("/no/such/program"));
}

#[test]
fn a_command_that_does_not_take_the_content_fails_the_restore() {
    let holdfast = shared::installation();
    let write = "\"sh\", \"-c\", \"cat >/dev/null; echo no room >&2; exit 4\"";
    let dump = holdfast.scratch("command-refuses").join("db.sql");
    let path = dump.to_str().unwrap();
    holdfast.job("command-refuses", &fileset(path, "seq 1 1000", write));
    holdfast.backup("command-refuses", 0);
    let run = holdfast.restore_with(args!["--job", "command-refuses", "--in-place"], 2);
    let log = holdfast.log_of(&run);
    assert!(log.contains(path) && log.contains("no room"), "{log}");
}
