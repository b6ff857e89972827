//! The catalog: ALL SQL of Holdfast, on PostgreSQL. In and out go domain types; one function is one intent.
//!
//! The catalog is an index over snapshots in time and a pure function of them (docs/catalog.md tells the model): what is
//! lost here can be rebuilt from volumes. Rows of files are events: added while a run goes on, seen when the head of
//! their series moves, never updated. Nothing outside this folder knows sqlx.

mod error;
mod row;
mod sql;

mod connect;
pub mod embedded;

mod certificates;
mod daemons;
mod installation;
mod tokens;
mod users;

mod adopt;
pub mod browse;
mod consumers;
mod copies;
pub mod ingest;
mod prune;
mod publish;
mod run_list;
mod run_log;
mod runs;
mod series;
mod snapshots;
mod words;

mod audit;
mod pools;
mod schedule_state;
mod summary;
mod volumes;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use audit::{AuditBreak, AuditEntry, NewAuditEntry};
pub use certificates::Certificate;
pub use connect::{Catalog, Durability, Place};
pub use consumers::Consumer;
pub use copies::Copy;
pub use daemons::{Daemon, NewDaemon};
pub use error::CatalogError;
pub use installation::Installation;
pub use pools::Pool;
pub use prune::Pruned;
pub use publish::Publication;
pub use run_list::RunFilter;
pub use run_log::{MAX_LOG_LINES, StoredLine};
pub use runs::{NewRun, Outcome, Run, RunStart};
pub use schedule_state::{Firing, ScheduleState};
pub use series::{Number, Series, SeriesId};
pub use snapshots::{Snapshot, SnapshotFilter};
pub use summary::{StateCount, Summary};
pub use tokens::{EnrolToken, NewEnrolToken};
pub use users::{ApiToken, ApiUser, NewApiToken};
pub use volumes::{StorageSpace, Volume};
pub use words::{Level, Origin, RunKind, RunState, SnapshotState};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
