//! Starts what is due: each time of each line exactly once, missed ones by one run.
//!
//! That a time has fired and the runs it queued are one transaction, so a Director that dies in between does neither or
//! both. A run that still waits for its turn is not queued a second time behind itself.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use common::shutdown::StopToken;
use jiff::Timestamp;

use crate::catalog::{Catalog, CatalogError, Firing, NewRun, Origin, RunState, ScheduleState};
use crate::config::{Config, LiveConfig, Missed, ScheduledRun};
use crate::runs::{RunError, Runs, StartBackup};

/// Looked at again at least so often: clocks of machines jump.
const LONGEST: Duration = Duration::from_secs(60);
/// A time that came longer ago was missed.
const LATE_MS: i64 = 120_000;

/// The scheduler.
#[derive(Debug)]
pub struct Scheduler {
    /// Where runs are queued and times remembered.
    pub catalog: Catalog,
    /// What is scheduled.
    pub config: Arc<LiveConfig>,
    /// Who starts the runs.
    pub runs: Runs,
}

/// One line of one job.
struct Item<'a> {
    key: String,
    job: &'a str,
    schedule: &'a str,
    missed: Missed,
    run: &'a ScheduledRun,
}

fn items(config: &Config) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    for (name, job) in config.jobs.iter().filter(|(_, job)| job.enabled) {
        let schedule = job.schedule.as_ref();
        let Some((schedule, found)) = schedule.and_then(|s| config.schedules.get_key_value(s))
        else {
            continue;
        };
        items.extend(found.runs.iter().map(|run| Item {
            key: format!("{name} {}", run.at),
            job: name,
            schedule,
            missed: found.missed,
            run,
        }));
    }
    items
}

impl Scheduler {
    /// Works until `stop`.
    pub async fn run(self, stop: &StopToken) {
        let mut changes = self.config.changes();
        loop {
            let pause = match self.reconcile(common::clock::now_ms()).await {
                Ok(next) => {
                    let left = next.map_or(i64::MAX, |next| {
                        next.timestamp_millis()
                            .saturating_sub(common::clock::now_ms())
                    });
                    Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(LONGEST)
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "schedules cannot be looked at, trying again"
                    );
                    Duration::from_secs(5)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause.max(Duration::from_millis(20))) => {}
                _ = changes.changed() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Fires what is due at `now_ms`; returns when the next time comes.
    ///
    /// # Errors
    /// The catalog cannot be read or written.
    pub async fn reconcile(&self, now_ms: i64) -> Result<Option<DateTime<Utc>>, RunError> {
        let config = self.config.get();
        let items = items(&config);
        let keys: Vec<String> = items.iter().map(|i| i.key.clone()).collect();
        self.catalog.retain_schedules(&keys).await?;
        let states = self.catalog.schedule_states().await?;
        let states: BTreeMap<&str, &ScheduleState> =
            states.iter().map(|s| (s.key.as_str(), s)).collect();
        let mut first: Option<DateTime<Utc>> = None;
        for item in &items {
            let next = next_after(&config, item, now_ms);
            let state = states.get(item.key.as_str());
            let come =
                state.and_then(|s| s.next_due.filter(|due| due.timestamp_millis() <= now_ms));
            match (state, come) {
                (Some(state), Some(due)) => self.fire(item, (state, due, next), now_ms).await?,
                // A new line, or a changed zone moves what has not come yet.
                (state, None) if state.is_none_or(|s| s.next_due != next) => {
                    self.catalog.set_next_due(&item.key, next).await?;
                }
                _ => {}
            }
            first = first.into_iter().chain(next).min();
        }
        Ok(first)
    }

    async fn fire(
        &self,
        item: &Item<'_>,
        (state, due, next): (&ScheduleState, DateTime<Utc>, Option<DateTime<Utc>>),
        now_ms: i64,
    ) -> Result<(), RunError> {
        let late = now_ms.saturating_sub(due.timestamp_millis()) > LATE_MS;
        let rows = if late && item.missed == Missed::Skip {
            tracing::warn!(job = item.job, due = %due, "a missed time is left out, as its schedule says");
            Vec::new()
        } else {
            self.rows(item).await?
        };
        let firing = Firing {
            key: item.key.clone(),
            expected: state.last_fired,
            fired: due,
            next_due: next,
        };
        if let Some(ids) = self.catalog.fire_schedule(&firing, &rows).await? {
            tracing::info!(job = item.job, schedule = item.schedule, due = %due, late, runs = ids.len(), "schedule fired");
            self.runs.wake();
        }
        Ok(())
    }

    /// The runs of one time: one per client that has none waiting already.
    async fn rows(&self, item: &Item<'_>) -> Result<Vec<NewRun>, RunError> {
        let start = StartBackup {
            job: item.job.to_owned(),
            client: None,
            level: item.run.level,
            by: item.schedule.to_owned(),
        };
        let mut rows = self.runs.backups(&start, Origin::Schedule).await?;
        let waiting = waiting(&self.catalog, item.job).await?;
        rows.retain(|row| {
            let twice = waiting.contains(&row.client);
            if twice {
                tracing::warn!(
                    job = item.job,
                    client = row.client,
                    "not queued again: a run of it still waits"
                );
            }
            !twice
        });
        Ok(rows)
    }
}

/// Clients for which a run of the job has not started yet.
async fn waiting(catalog: &Catalog, job: &str) -> Result<HashSet<String>, CatalogError> {
    let unfinished = catalog.unfinished_runs().await?;
    let not_started = |state| matches!(state, RunState::Queued | RunState::Waiting);
    let of_job = unfinished
        .into_iter()
        .filter(|r| r.job == job && not_started(r.state));
    Ok(of_job.map(|r| r.client).collect())
}

fn next_after(config: &Config, item: &Item<'_>, now_ms: i64) -> Option<DateTime<Utc>> {
    let now = Timestamp::from_millisecond(now_ms).ok()?;
    let next = item.run.line.next_after(now, &config.director.zone)?;
    DateTime::from_timestamp_millis(next.as_millisecond())
}
