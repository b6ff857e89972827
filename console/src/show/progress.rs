//! Progress of runs: a bar each on a terminal, a plain line each few seconds otherwise. On standard error only.

use std::time::{Duration, Instant};

use common::api::events::Progress;
use common::api::runs::RunStatus;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Screen, count, duration, plain, size};

/// A plain line at most each so often.
const LINE_EACH: Duration = Duration::from_secs(5);
/// A wait shorter than this is not worth a word.
const WORTH_SAYING: Duration = Duration::from_secs(1);

/// All bars of a command.
pub struct Board {
    bars: MultiProgress,
    draws: bool,
}

/// One run on the board.
pub struct Track {
    bar: Option<ProgressBar>,
    label: String,
    last_line: Option<Instant>,
    held: Option<Held>,
}

/// A wait that is not said yet, or (`None`) has been.
struct Held {
    since: Instant,
    progress: Option<Progress>,
}

impl Default for Board {
    fn default() -> Self {
        let draws = Screen::can_draw();
        let target = if draws {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            draws,
        }
    }
}

impl Board {
    /// A run that is followed; `label` says which.
    #[must_use]
    pub fn track(&self, label: String) -> Track {
        let bar = self.draws.then(|| {
            let bar = self.bars.add(ProgressBar::new(1000));
            let style = ProgressStyle::with_template("{bar:24.cyan/blue} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar.set_message(label.clone());
            bar
        });
        Track {
            bar,
            label,
            last_line: None,
            held: None,
        }
    }

    /// A line above the bars.
    pub fn note(&self, text: &str) {
        let text = plain(text);
        self.bars.suspend(|| {
            use std::io::Write;
            // Nobody is left to be told when standard error is gone.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        });
    }
}

impl Track {
    /// Shows how far the run is; a wait once it lasts.
    pub fn show(&mut self, board: &Board, progress: &Progress) {
        if self.holds_back(progress, Instant::now()) {
            return;
        }
        self.draw(board, progress);
    }

    /// When a wait that goes on is to be said: call [`Track::say_wait`] then.
    #[must_use]
    pub fn wait_due(&self) -> Option<Instant> {
        let held = self.held.as_ref().filter(|held| held.progress.is_some())?;
        Some(held.since + WORTH_SAYING)
    }

    /// Says the wait that was held back.
    pub fn say_wait(&mut self, board: &Board) {
        if let Some(progress) = self.held.as_mut().and_then(|held| held.progress.take()) {
            self.draw(board, &progress);
        }
    }

    fn draw(&mut self, board: &Board, progress: &Progress) {
        let text = format!("{}  {}", self.label, line(progress));
        match &self.bar {
            Some(bar) => {
                bar.set_position(thousandths(progress).unwrap_or(0));
                bar.set_message(plain(&text));
            }
            None if self.last_line.is_none_or(|at| at.elapsed() >= LINE_EACH) => {
                board.note(&text);
                self.last_line = Some(Instant::now());
            }
            None => {}
        }
    }

    fn holds_back(&mut self, progress: &Progress, now: Instant) -> bool {
        if progress.waiting.is_empty() && progress.status != RunStatus::Queued {
            self.held = None;
            return false;
        }
        let held = self.held.get_or_insert(Held {
            since: now,
            progress: None,
        });
        let early = now.duration_since(held.since) < WORTH_SAYING;
        held.progress = early.then(|| progress.clone());
        early
    }

    /// Takes the bar away.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// How much is done of what is expected; nothing when that is unknown.
fn thousandths(progress: &Progress) -> Option<u64> {
    let (done, all) = match (progress.expected_bytes, progress.expected_entries) {
        (0, 0) => return None,
        (0, entries) => (progress.entries, entries),
        (bytes, _) => (progress.bytes, bytes),
    };
    // A tree that grew since the estimate never shows 100 % before the end.
    let share = u128::from(done) * 1000 / u128::from(all);
    u64::try_from(share.min(999)).ok()
}

/// One line: share, bytes, rate, time to go, entries, what it works on.
#[must_use]
pub fn line(progress: &Progress) -> String {
    if !progress.waiting.is_empty() {
        return format!("waiting: {}", progress.waiting);
    }
    match progress.status {
        RunStatus::Queued => return "queued".into(),
        RunStatus::Committing => return "data is stored, the catalog follows".into(),
        _ => {}
    }
    let mut parts = Vec::new();
    if let Some(share) = thousandths(progress) {
        parts.push(format!("{} %", share / 10));
    }
    let bytes = size(progress.bytes);
    parts.push(match progress.expected_bytes {
        0 => bytes,
        all => format!("{bytes} of {}", size(all)),
    });
    parts.push(format!("{}/s", size(progress.rate)));
    if let Some(left) = progress.eta_s {
        parts.push(format!("ETA {}", duration(left)));
    }
    parts.push(format!("{} entries", count(progress.entries)));
    if !progress.current.0.is_empty() {
        parts.push(progress.current.0.clone());
    }
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::api::text::PathText;

    fn progress() -> Progress {
        Progress {
            status: RunStatus::Running,
            entries: 12_345,
            files: 12_000,
            bytes: 1_650_000_000,
            read_bytes: 0,
            sent_bytes: 0,
            rate: 120_000_000,
            eta_s: Some(16),
            expected_entries: 0,
            expected_bytes: 3_600_000_000,
            current: PathText("/home/a".into()),
            waiting: String::new(),
        }
    }

    #[test]
    fn a_line_has_rate_and_time_to_go() {
        assert_eq!(
            line(&progress()),
            "45 %  1.65 GB of 3.60 GB  120 MB/s  ETA 0:16  12,345 entries  /home/a"
        );
        let unknown = Progress {
            expected_bytes: 0,
            eta_s: None,
            ..progress()
        };
        assert_eq!(line(&unknown), "1.65 GB  120 MB/s  12,345 entries  /home/a");
        let waiting = Progress {
            waiting: "client web01 runs 2 of 2".into(),
            ..progress()
        };
        assert_eq!(line(&waiting), "waiting: client web01 runs 2 of 2");
    }

    #[test]
    fn a_wait_is_said_once_it_lasts() {
        let mut track = Board::default().track("run 1".into());
        let waiting = Progress {
            waiting: "storage local".into(),
            ..progress()
        };
        let start = Instant::now();
        assert!(track.holds_back(&waiting, start));
        assert_eq!(track.wait_due(), Some(start + Duration::from_secs(1)));
        assert!(track.holds_back(&waiting, start + Duration::from_millis(900)));
        assert!(!track.holds_back(&progress(), start + Duration::from_millis(950)));
        assert_eq!(track.wait_due(), None, "it has begun");
        assert!(track.holds_back(&waiting, start + Duration::from_secs(2)));
        track.say_wait(&Board::default());
        assert_eq!(track.wait_due(), None, "it is said");
        assert!(!track.holds_back(&waiting, start + Duration::from_secs(3)));
    }

    #[test]
    fn never_hundred_percent_before_the_end() {
        let grown = Progress {
            bytes: 9_000_000_000,
            ..progress()
        };
        assert!(line(&grown).starts_with("99 %"));
    }
}
