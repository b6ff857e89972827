//! The JSON that scripts see: golden texts, and that what is left out reads as its default.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::restore::{Mode, Point, Replace, RestoreRequest, Target};
use super::runs::{RunStatus, StartRun};
use super::text::PathText;
use crate::ids::JobId;

#[test]
fn a_restore_request_reads_as_documented() {
    let text = r#"{"client":"web01","point":{"job_id":17},"paths":["/home/a\\xff"],"to":"in_place","replace":"if-newer","mode":"dry-run"}"#;
    let request: RestoreRequest = serde_json::from_str(text).unwrap();
    assert_eq!(request.point, Point::JobId(JobId(17)));
    assert_eq!(
        request.paths.first().unwrap().to_bytes().unwrap(),
        b"/home/a\xff"
    );
    assert_eq!(
        (request.to, request.replace, request.mode),
        (Target::InPlace, Replace::IfNewer, Mode::DryRun)
    );
    let other = r#"{"point":"latest","to":{"dir":"/tmp/r"}}"#;
    let request: RestoreRequest = serde_json::from_str(other).unwrap();
    assert_eq!(request.to, Target::Dir(PathText("/tmp/r".into())));
    assert_eq!(
        (request.replace, request.mode),
        (Replace::Always, Mode::Restore)
    );
}

#[test]
fn unknown_fields_of_requests_are_refused() {
    assert!(serde_json::from_str::<StartRun>(r#"{"job":"a","levle":"full"}"#).is_err());
    let start: StartRun = serde_json::from_str(r#"{"job":"a","level":"full"}"#).unwrap();
    assert_eq!(
        serde_json::to_string(&start).unwrap(),
        r#"{"job":"a","level":"full"}"#
    );
}

#[test]
fn status_words_are_the_json_words() {
    for status in [
        RunStatus::Queued,
        RunStatus::Waiting,
        RunStatus::Running,
        RunStatus::Committing,
        RunStatus::Ok,
        RunStatus::Warnings,
        RunStatus::Error,
        RunStatus::Canceled,
        RunStatus::Incomplete,
    ] {
        assert_eq!(serde_json::to_value(status).unwrap(), status.word());
    }
}

#[test]
fn names_that_are_not_their_text_carry_hex() {
    assert_eq!(PathText::hex_of("\u{e4}".as_bytes()), None);
    assert_eq!(PathText::hex_of(b"a\xff").as_deref(), Some("61ff"));
}
