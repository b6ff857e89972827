//! What is shown: amounts, instants, tables, the report of a run, progress. Control bytes never get through: names are
//! escaped where they come from, and [`plain`] guards the rest.

mod amounts;
mod grid;
mod instants;
mod plain;
mod progress;
mod report;
mod screen;

pub use amounts::{count, duration, plural, size};
pub use grid::Grid;
pub use instants::{Zone, at_zone, difference};
pub use plain::plain;
pub use progress::{Board, Track, line as progress_line};
pub use report::{facts, log_line, restore_end, run_report};
pub use screen::{Json, Screen};
