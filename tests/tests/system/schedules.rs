//! What a schedule says happens by itself.

use std::time::Duration;

use serde_json::Value;
use tests::installation::quoted;
use tests::wait;

use crate::shared;

#[test]
fn a_line_that_is_due_starts_a_run_by_itself_and_a_disabled_job_does_not() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("scheduled");
    std::fs::write(source.join("x"), "x").unwrap();
    let client = holdfast.client_name();
    let job = |name: &str, enabled: bool| {
        format!(
            "[job.{name}]\nclients = [\"{client}\"]\nfileset = \"scheduled\"\nschedule = \"each-minute\"\npool = \"main\"\nenabled = {enabled}\n"
        )
    };
    let text = format!(
        "[fileset.scheduled]\ninclude = [{}]\n[schedule.each-minute]\nrun = [{{ at = \"* * * * *\", level = \"incremental\" }}]\n{}{}",
        quoted(&source),
        job("scheduled", true),
        job("disabled", false)
    );
    holdfast.configure("test-scheduled.toml", &text);
    let runs_of = |name: &str| {
        let listed = holdfast.console().json(["runs", "--job", name]);
        listed["items"]
            .as_array()
            .or_else(|| listed.as_array())
            .cloned()
            .unwrap_or_default()
    };
    let run: Value = wait::until("the schedule starts a run", Duration::from_secs(80), || {
        runs_of("scheduled")
            .into_iter()
            .find(|run| run["status"] == "ok")
    });
    assert!(
        run["started_by"].as_str().unwrap().contains("each-minute"),
        "{run}"
    );
    assert!(runs_of("disabled").is_empty());
    holdfast.configure("test-scheduled.toml", "");
}
