//! A run as a person reads it: what, how it went and why, the five figures, counts; and the lines of its log.

use common::api::restore::Mode;
use common::api::runs::{LogLine, Run, RunKind, RunStatus, Severity};

use super::{Zone, count, duration, plural, size};

/// Lines of `name  value`, the values in one column; empty values are left out.
#[must_use]
pub fn facts(lines: &[(&str, String)]) -> String {
    let told = || lines.iter().filter(|(_, value)| !value.is_empty());
    let width = told().map(|(name, _)| name.len()).max().unwrap_or(0);
    let shown: Vec<String> = told()
        .map(|(name, value)| format!("{name:width$}  {value}"))
        .collect();
    shown.join("\n")
}

/// `show 17`
#[must_use]
pub fn run_report(run: &Run, zone: &Zone) -> String {
    let mut lines = vec![
        ("run", format!("{} ({})", run.job_id, run.kind)),
        ("job", run.job.clone()),
        ("client", run.client.clone()),
        ("status", status_text(run)),
        ("level", level_text(run)),
        ("started by", run.started_by.clone()),
        ("queued", zone.full(run.queued_at)),
        (
            "started",
            run.started_at.map(|at| zone.full(at)).unwrap_or_default(),
        ),
        ("ended", ended_text(run, zone)),
    ];
    if let Some(of) = &run.restore {
        lines.push((
            "from",
            format!(
                "{}, run {}, as of {}",
                of.from_client,
                of.from_job_id,
                zone.full(of.as_of)
            ),
        ));
        lines.push(("to", format!("{}:{}", run.client, place(&of.to.0))));
        lines.push(("mode", of.mode.word().to_owned()));
    }
    lines.extend(figures(run));
    lines.extend([
        ("warnings", nonzero(run.warnings)),
        ("errors", nonzero(run.errors)),
        ("pool", run.pool.clone()),
        ("volumes", run.volumes.join(", ")),
        ("snapshot", snapshot_text(run)),
        ("kept until", kept_text(run, zone)),
    ]);
    facts(&lines)
}

fn status_text(run: &Run) -> String {
    match (run.waiting.is_empty(), run.reason.is_empty()) {
        (false, _) => format!("{}: {}", run.status, run.waiting),
        (true, false) => format!("{}: {}", run.status, run.reason),
        (true, true) => run.status.to_string(),
    }
}

fn level_text(run: &Run) -> String {
    match (run.level, run.level_reason.is_empty()) {
        (None, _) => String::new(),
        (Some(level), true) => level.to_string(),
        (Some(level), false) => format!("{level} ({})", run.level_reason),
    }
}

fn ended_text(run: &Run, zone: &Zone) -> String {
    match (run.started_at, run.ended_at) {
        (Some(start), Some(end)) => {
            let seconds = u64::try_from((end - start).num_seconds()).unwrap_or(0);
            format!("{} (took {})", zone.full(end), duration(seconds))
        }
        (None, Some(end)) => zone.full(end),
        _ => String::new(),
    }
}

fn snapshot_text(run: &Run) -> String {
    match (&run.snapshot, run.number) {
        (Some(id), Some(number)) => format!(
            "number {number} of its series, {}",
            id.get(..12).unwrap_or(id)
        ),
        (Some(id), None) => id.get(..12).unwrap_or(id).to_owned(),
        (None, _) => String::new(),
    }
}

fn kept_text(run: &Run, zone: &Zone) -> String {
    match (run.keep_until, &run.snapshot) {
        (Some(at), _) => zone.full(at),
        (None, Some(_)) => "for ever".to_owned(),
        (None, None) => String::new(),
    }
}

fn nonzero(number: u64) -> String {
    if number == 0 {
        String::new()
    } else {
        count(number)
    }
}

/// The five figures of a backup, what was written of a restore.
fn figures(run: &Run) -> Vec<(&'static str, String)> {
    let c = &run.counts;
    if run.kind != RunKind::Backup {
        let what = match run.restore.as_ref().map(|of| of.mode) {
            Some(Mode::DryRun) => "would write",
            Some(Mode::Compare) => "compared",
            _ => "written",
        };
        return vec![
            ("entries", count(c.entries)),
            ("files", count(c.files)),
            (what, size(c.protected_bytes)),
        ];
    }
    vec![
        ("files", count(c.files)),
        ("protected", size(c.protected_bytes)),
        (
            "read",
            format!(
                "{} ({})",
                size(c.read_bytes),
                plural(c.files_read, "file", "files")
            ),
        ),
        ("sent", size(c.sent_bytes)),
        ("stored", size(c.stored_bytes)),
        (
            "entries",
            format!(
                "{}: {} new, {} changed, {} removed",
                count(c.entries),
                count(c.new_entries),
                count(c.changed_entries),
                count(c.removed_entries)
            ),
        ),
        ("not saved", nonzero(c.unsaved)),
        ("vanished", nonzero(c.vanished)),
        (
            "changed",
            if c.changed_while_read == 0 {
                String::new()
            } else {
                format!("{} while read", count(c.changed_while_read))
            },
        ),
    ]
}

/// One line of a log.
#[must_use]
pub fn log_line(line: &LogLine, zone: &Zone) -> String {
    let word = match line.severity {
        Severity::Info => "",
        Severity::Notice => "notice: ",
        Severity::Warning => "warning: ",
        Severity::Error => "error: ",
    };
    let source = if line.source.is_empty() {
        String::new()
    } else {
        format!("{}: ", line.source)
    };
    // A program whose error output is logged often says the word itself.
    let text = line.text.strip_prefix(word).unwrap_or(&line.text);
    format!("{}  {source}{word}{text}", zone.full(line.at))
}

/// What a restore did, in one or two sentences.
#[must_use]
pub fn restore_end(run: &Run) -> String {
    let Some(of) = &run.restore else {
        return format!("run {} of {}: {}", run.job_id, run.client, status_text(run));
    };
    let c = &run.counts;
    let what = format!(
        "{}, {}",
        plural(c.files, "file", "files"),
        size(c.protected_bytes)
    );
    let where_to = format!("{}:{}", run.client, place(&of.to.0));
    let said = match (of.mode, run.status) {
        (Mode::Restore, RunStatus::Ok) => format!("restored {what} to {where_to}"),
        (Mode::Restore, RunStatus::Warnings) => {
            format!("restored {what} to {where_to}, with {}", problems(run))
        }
        (Mode::DryRun, RunStatus::Ok | RunStatus::Warnings) => {
            format!("would restore {what} to {where_to}; nothing was written")
        }
        (Mode::Compare, RunStatus::Ok) => format!("compared {what} with {where_to}: no difference"),
        (Mode::Compare, RunStatus::Warnings) => format!(
            "compared {what} with {where_to}: {}",
            plural(run.warnings, "difference", "differences")
        ),
        (mode, _) => format!("{} {}; {what} at {where_to}", mode.word(), status_text(run)),
    };
    format!(
        "run {}: {said}\n  `holdfast log {}` has every line",
        run.job_id, run.job_id
    )
}

fn problems(run: &Run) -> String {
    plural(run.warnings + run.errors, "problem", "problems")
}

fn place(to: &str) -> &str {
    if to == "/" {
        " where the files were"
    } else {
        to
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
