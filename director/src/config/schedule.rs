//! `[schedule.NAME]`: crontab lines, each with the level it starts.

use common::api::runs::Level;
use common::config::Spanned;
use serde::Deserialize;

use super::calendar::Line;
use super::context::Context;

/// What happens to times that passed while the Director was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// All of them are made up for by one run.
    #[default]
    RunOnce,
    /// They are left out.
    Skip,
}

/// One line.
#[derive(Debug, Clone)]
pub struct ScheduledRun {
    /// As written: names the line in the catalog.
    pub at: String,
    /// Its times.
    pub line: Line,
    /// Level it starts; none = the job's.
    pub level: Option<Level>,
}

impl PartialEq for ScheduledRun {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.level == other.level
    }
}

/// A schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// At least one line.
    pub runs: Vec<ScheduledRun>,
    /// What happens to missed times.
    pub missed: Missed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScheduleTable {
    run: Vec<RunTable>,
    missed: Option<Missed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunTable {
    at: Spanned<String>,
    level: Option<Level>,
}

impl ScheduleTable {
    pub fn check(self, name: &Spanned<String>, context: &mut Context<'_>) -> Schedule {
        if self.run.is_empty() {
            context.wrong(
                name.span(),
                format!("schedule {} never fires: it has no lines", name.get_ref()),
                "add `run = [{ at = \"0 21 * * *\" }]`",
            );
        }
        let mut runs: Vec<ScheduledRun> = Vec::with_capacity(self.run.len());
        for run in self.run {
            let at = run.at.get_ref();
            match Line::parse(at) {
                Ok(_) if runs.iter().any(|r| r.at == *at) => context.wrong(
                    run.at.span(),
                    format!("schedule {} has the line {at:?} twice", name.get_ref()),
                    "remove one of them",
                ),
                Ok(line) => runs.push(ScheduledRun {
                    at: at.clone(),
                    line,
                    level: run.level,
                }),
                Err(error) => {
                    let text = error.to_string();
                    let (reason, remedy) = text
                        .split_once(": write ")
                        .unwrap_or((&text, "a crontab line"));
                    context.wrong(
                        run.at.span(),
                        format!("{at:?}: {reason}"),
                        format!("write {remedy}"),
                    );
                }
            }
        }
        Schedule {
            runs,
            missed: self.missed.unwrap_or_default(),
        }
    }
}
