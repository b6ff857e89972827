//! The state of a run in the catalog follows the machine: nothing else writes it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use common::api::runs::RunStatus;
use common::ids::JobId;
use common::object::snapshot::Counts;
use common::protocol::orders::Severity;

use super::engine::Inner;
use super::live::Live;
use super::log::RunLog;
use super::machine::{End, Event, State, next};
use super::patience::stubbornly;
use crate::catalog::{CatalogError, Outcome, Run, RunState};

/// Why a run's driver goes no further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// The Director stops: the run stays as it is and is settled at the next start.
    #[error("the Director is stopping")]
    Stopping,
    /// It is over in the catalog already: somebody else was first.
    #[error("the run is over already")]
    Over,
    /// The catalog refuses, or was away for too long.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// A run under way: its state here and in the catalog.
pub(super) struct Driven {
    pub inner: Arc<Inner>,
    pub live: Arc<Live>,
    pub log: RunLog,
    pub row: Run,
    pub state: State,
}

/// The state a catalog row stands for.
pub(super) fn state_of(row: &Run) -> State {
    match row.state {
        RunState::Queued => State::Queued,
        RunState::Waiting => State::Waiting(row.waiting.clone()),
        RunState::Running => State::Running,
        RunState::Committing => State::Committing,
        RunState::Ok => State::Over(End::Ok),
        RunState::Warnings => State::Over(End::Warnings),
        RunState::Error => State::Over(End::Error(row.outcome.clone())),
        RunState::Canceled => State::Over(End::Canceled(row.outcome.clone())),
        RunState::Incomplete => State::Over(End::Incomplete(row.outcome.clone())),
    }
}

/// The catalog's word for a state.
pub(super) fn word_of(state: &State) -> RunState {
    match state {
        State::Queued => RunState::Queued,
        State::Waiting(_) => RunState::Waiting,
        State::Running => RunState::Running,
        State::Committing => RunState::Committing,
        State::Over(End::Ok) => RunState::Ok,
        State::Over(End::Warnings) => RunState::Warnings,
        State::Over(End::Error(_)) => RunState::Error,
        State::Over(End::Canceled(_)) => RunState::Canceled,
        State::Over(End::Incomplete(_)) => RunState::Incomplete,
    }
}

/// The API's word for a state.
pub(super) fn status_of(state: RunState) -> RunStatus {
    match state {
        RunState::Queued => RunStatus::Queued,
        RunState::Waiting => RunStatus::Waiting,
        RunState::Running => RunStatus::Running,
        RunState::Committing => RunStatus::Committing,
        RunState::Ok => RunStatus::Ok,
        RunState::Warnings => RunStatus::Warnings,
        RunState::Error => RunStatus::Error,
        RunState::Canceled => RunStatus::Canceled,
        RunState::Incomplete => RunStatus::Incomplete,
    }
}

pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(common::clock::now_ms()).unwrap_or_default()
}

impl Driven {
    /// JobId.
    pub fn job_id(&self) -> JobId {
        self.row.job_id
    }

    /// Takes an event that leads to a state that is not final, here and in the catalog.
    pub async fn step(&mut self, event: Event) -> Result<(), Halt> {
        let Ok(state) = next(&self.state, event) else {
            return Ok(());
        };
        let (from, to) = ([word_of(&self.state)], word_of(&state));
        let job_id = self.job_id();
        let catalog = &self.inner.catalog;
        let moved = stubbornly(&self.inner.stop, || {
            catalog.move_run(job_id, &from, to, state.reason())
        })
        .await?;
        if !moved {
            return Err(Halt::Over);
        }
        self.live.status(status_of(to), state.reason());
        self.state = state;
        Ok(())
    }

    /// Takes an event that ends the run without a snapshot: log, outcome, lease.
    pub async fn end(mut self, event: Event, counts: Option<Counts>) -> Result<(), Halt> {
        let state = match next(&self.state, event) {
            Ok(state @ State::Over(_)) => state,
            Ok(_) => return Ok(()),
            Err(illegal) => {
                tracing::error!(job_id = %self.job_id(), %illegal, "a run took an impossible turn");
                State::Over(End::Error(format!("internal error: {illegal}")))
            }
        };
        let severity = match &state {
            State::Over(End::Error(_)) => Severity::Error,
            State::Over(End::Ok | End::Warnings) => Severity::Info,
            _ => Severity::Notice,
        };
        let text = match state.reason() {
            "" => state.word().to_owned(),
            reason => format!("{}: {reason}", state.word()),
        };
        self.log.say(severity, text).await;
        self.log.close().await;
        let outcome = Outcome {
            state: word_of(&state),
            text: state.reason().to_owned(),
            counts,
            ended_at: now(),
        };
        let (inner, job_id) = (self.inner, self.row.job_id);
        let ended = stubbornly(&inner.stop, || inner.catalog.finish_run(job_id, &outcome)).await?;
        self.state = state;
        tracing::info!(%job_id, job = self.row.job, client = self.row.client, status = self.state.word(),
            reason = self.state.reason(), first = ended, "run over");
        Ok(())
    }
}
