//! Periodic work: reconcilers that make the world agree with configuration and catalog, again and again, also at start.
//! Running one twice changes nothing; a Director that dies in the middle does it again.

mod prune;
mod schedule;
mod upkeep;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod schedule_tests;

pub use prune::Prune;
pub use schedule::Scheduler;
pub use upkeep::upkeep;
