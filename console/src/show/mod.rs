//! What is shown: amounts, instants, tables, the report of a run, progress. Control bytes never get through: names are
//! escaped where they come from, and [`plain`] guards the rest.

mod amounts;
mod grid;
mod instants;
mod progress;
mod report;
mod screen;

pub use amounts::{count, duration, plural, size};
pub use grid::Grid;
pub use instants::{Zone, at_zone, difference};
pub use progress::{Board, Track, line as progress_line};
pub use report::{facts, log_line, restore_end, run_report};
pub use screen::{Json, Screen};

/// A text of a peer, made harmless for a terminal: every control byte and bidirectional mark escaped, line breaks kept.
#[must_use]
pub fn plain(text: &str) -> String {
    // A backslash of the text is no escape of ours: only what is dangerous is escaped.
    text.split('\n')
        .map(|line| {
            line.split('\\')
                .map(|part| common::name::Shown(part.as_bytes()).to_string())
                .collect::<Vec<_>>()
                .join("\\")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_of_a_peer_cannot_drive_the_terminal() {
        assert_eq!(
            super::plain("a\x1b[2Jb \\x0a\nc\u{202e}"),
            "a\\x1b[2Jb \\x0a\nc\\xe2\\x80\\xae"
        );
    }
}
