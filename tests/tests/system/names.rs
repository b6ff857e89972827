//! Names that a terminal could obey are shown escaped everywhere, and can be typed back so.

use common::name::Shown;
use tests::args;
use tests::compare::assert_same;
use tests::folder::Folder;
use tests::installation::restored;
use tests::tree::names::{self, ODD};

use crate::shared;

/// Control bytes but the newline that ends a line.
fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\n') || text.contains('\u{202e}')
}

#[test]
fn odd_names_are_listed_escaped_and_restored_one_by_one() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("odd-names");
    names::odd(&Folder::open(&source));
    holdfast.job_over("odd-names", &source);
    holdfast.backup("odd-names", 0);

    let files = source.join("files");
    let place = format!("{}:{}", holdfast.client_name(), files.display());
    let listed = holdfast.console().ok(args!["ls", &place]);
    let as_json = holdfast.console().json(args!["ls", &place]).to_string();
    for name in ODD {
        let shown = Shown(name).to_string();
        let shown = shown.trim_end();
        assert!(
            listed.out.contains(shown),
            "{shown} expected in {}",
            listed.out
        );
    }
    assert!(
        !has_control(&listed.out) && !has_control(&as_json),
        "{}",
        listed.out
    );
    let found = holdfast.console().ok(args!["find", &place, "*"]);
    assert!(!has_control(&found.out), "{}", found.out);

    for name in [
        &b"escape\x1b[31mred\x1b]0;title\x07"[..],
        b"new\nline",
        b"\xff\xfe-no-utf8",
        b"back\\slash\\x41",
    ] {
        let path = format!("{}/{}", files.display(), Shown(name));
        let to = holdfast.absent(&format!("odd-{}", hex::encode(name)));
        holdfast.restore_with(args!["--job", "odd-names", "--path", &path, "--to", &to], 0);
        let folder = Folder::open(&restored(&to, &files));
        assert_eq!(folder.names().unwrap(), [name.to_vec()], "exactly {path}");
    }
    let to = holdfast.absent("odd-names");
    let run = holdfast.restore("odd-names", &to);
    assert_same(&source, &restored(&to, &source));
    assert!(!has_control(&holdfast.log_of(&run)));
}

#[test]
fn a_warning_about_an_odd_name_shows_it_escaped() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("odd-warning");
    std::fs::write(source.join("fine"), "fine").unwrap();
    let missing = format!("{}/not\\x1b[31mhere", source.display());
    holdfast.job(
        "odd-warning",
        &format!(
            "include = ['{}', '{missing}']",
            source.join("fine").display()
        ),
    );
    let run = holdfast.backup("odd-warning", 1);
    let log = holdfast.log_of(&run);
    assert!(
        log.contains("not\\x1b[31mhere") && !has_control(&log),
        "{log}"
    );
}
