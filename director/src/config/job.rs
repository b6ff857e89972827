//! `[job.NAME]`: which clients save what, when, and to where.

use common::api::runs::Level;
use common::config::{Period, Spanned};
use serde::Deserialize;

use super::context::{Context, Reference};

/// A job. Each of its clients has a series of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Clients, at least one.
    pub clients: Vec<String>,
    /// FileSet.
    pub fileset: String,
    /// Schedule; none = started by people only.
    pub schedule: Option<String>,
    /// Pool.
    pub pool: String,
    /// Level when nobody asks for one.
    pub level: Level,
    /// How long its snapshots are kept; none = as the pool says.
    pub keep: Option<Period>,
    /// Whether its schedule starts it.
    pub enabled: bool,
    /// Smaller goes first.
    pub priority: i32,
    /// zstd level 1..=19; 0 = adaptive.
    pub compression: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JobTable {
    clients: Option<Vec<Spanned<String>>>,
    fileset: Option<Spanned<String>>,
    schedule: Option<Spanned<String>>,
    pool: Option<Spanned<String>>,
    level: Option<Level>,
    keep: Option<Period>,
    enabled: Option<bool>,
    priority: Option<Spanned<u8>>,
    compression: Option<Spanned<u32>>,
}

/// The names a job uses, for `resolve`.
#[derive(Debug, Clone, Default)]
pub(super) struct JobReferences {
    pub clients: Vec<Reference>,
    pub fileset: Option<Reference>,
    pub schedule: Option<Reference>,
    pub pool: Option<Reference>,
}

/// Bacula's middle: room on both sides.
const PRIORITY: u8 = 10;

impl JobTable {
    pub fn check(self, name: &Spanned<String>, context: &mut Context<'_>) -> (Job, JobReferences) {
        let clients = self.clients.unwrap_or_default();
        if clients.is_empty() {
            context.wrong(
                name.span(),
                format!("job {} has no clients", name.get_ref()),
                "add `clients = [\"NAME\"]`",
            );
        }
        if self.fileset.is_none() {
            context.wrong(
                name.span(),
                format!(
                    "job {} has no fileset: it would save nothing",
                    name.get_ref()
                ),
                "add `fileset = \"NAME\"`",
            );
        }
        if let Some(level) = &self.compression
            && *level.get_ref() > 19
        {
            context.wrong(
                level.span(),
                "compression goes from 1 to 19",
                "write a number from 1 to 19, or 0 = adaptive",
            );
        }
        let references = JobReferences {
            clients: clients.iter().map(|c| context.reference(c)).collect(),
            fileset: self.fileset.as_ref().map(|f| context.reference(f)),
            schedule: self.schedule.as_ref().map(|s| context.reference(s)),
            pool: self.pool.as_ref().map(|p| context.reference(p)),
        };
        let text = |value: Option<Spanned<String>>| value.map(Spanned::into_inner);
        let job = Job {
            clients: clients.into_iter().map(Spanned::into_inner).collect(),
            fileset: text(self.fileset).unwrap_or_default(),
            schedule: text(self.schedule),
            pool: text(self.pool).unwrap_or_default(),
            level: self.level.unwrap_or(Level::Incremental),
            keep: self.keep,
            enabled: self.enabled.unwrap_or(true),
            priority: i32::from(self.priority.map_or(PRIORITY, Spanned::into_inner)),
            compression: self.compression.map_or(0, Spanned::into_inner),
        };
        (job, references)
    }
}
