//! `/runs/{id}/events`: one run as it goes, by server-sent events.
//!
//! A watcher is told that something changed and reads it: log lines from the catalog, the newest progress from memory. So
//! a slow one misses no line, skips old progress, and holds nothing in the Director.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use common::api::events::{EventsQuery, Progress};
use common::ids::JobId;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::app::App;
use super::error::ApiError;
use super::input::{Asked, Named};
use super::runs::{line, no_run, one};
use crate::runs::{Live, LiveState};

/// Log lines read at once.
const LINES: u32 = 500;
/// At most two progress events a second.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn events(
    State(app): State<App>,
    Named(id): Named<u64>,
    Asked(query): Asked<EventsQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let job_id = JobId(id);
    let live = app.runs.live(job_id).await?;
    app.catalog.run(job_id).await?.ok_or_else(|| no_run(id))?;
    let resumed = headers
        .get("last-event-id")
        .and_then(|h| h.to_str().ok()?.parse::<u64>().ok());
    let after = match resumed.or(query.after) {
        Some(after) => after,
        // Only what comes from now on.
        None => match &live {
            Some(live) => live.watch().borrow().log_seq,
            None => u64::MAX,
        },
    };
    let watcher = Watcher {
        app,
        job_id,
        seq: u32::try_from(after).unwrap_or(u32::MAX),
        changes: live.as_ref().map(|live| live.watch()),
        _live: live,
        ready: VecDeque::new(),
        shown: None,
        shown_at: None,
        ended: false,
    };
    let stream = futures_util::stream::unfold(watcher, |mut watcher| async move {
        watcher
            .next()
            .await
            .map(|event| (Ok::<_, Infallible>(event), watcher))
    });
    let sse = Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)));
    let unbuffered = (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(([unbuffered], sse))
}

struct Watcher {
    app: App,
    job_id: JobId,
    /// Number of the last log line told.
    seq: u32,
    changes: Option<watch::Receiver<LiveState>>,
    /// Keeps the run's place, so that its end is heard.
    _live: Option<Arc<Live>>,
    ready: VecDeque<Event>,
    shown: Option<Progress>,
    shown_at: Option<Instant>,
    ended: bool,
}

impl Watcher {
    /// The next event; `None` after the end, or when the catalog fails: the client comes back with its last number.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.look().await {
                tracing::debug!(job_id = %self.job_id, status = error.status(), "a watcher is sent away");
                return None;
            }
        }
    }

    /// Reads what is new; waits when nothing is.
    async fn look(&mut self) -> Result<(), ApiError> {
        let state = self
            .changes
            .as_mut()
            .map(|changes| changes.borrow_and_update().clone());
        let over = state.as_ref().is_none_or(|s| s.over);
        let lines = self
            .app
            .catalog
            .read_log(self.job_id, self.seq, LINES)
            .await?;
        for stored in lines {
            self.seq = stored.seq;
            self.push("log", &line(stored));
        }
        if !self.ready.is_empty() {
            return Ok(());
        }
        if over {
            let run = one(&self.app, self.job_id).await?;
            self.push("end", &run);
            self.ended = true;
            return Ok(());
        }
        let progress = state.and_then(|s| s.progress);
        let due = self.shown_at.map(|at| at + PROGRESS_EVERY);
        if progress != self.shown && due.is_none_or(|due| due <= Instant::now()) {
            self.shown_at = Some(Instant::now());
            self.shown.clone_from(&progress);
            if let Some(progress) = progress {
                self.push("progress", &progress);
                return Ok(());
            }
        }
        self.wait(due.filter(|_| progress != self.shown)).await;
        Ok(())
    }

    async fn wait(&mut self, until: Option<Instant>) {
        let Some(changes) = &mut self.changes else {
            return;
        };
        let far = Instant::now() + Duration::from_secs(3600);
        tokio::select! {
            // The sender is held by `_live`.
            _ = changes.changed() => {}
            () = tokio::time::sleep_until(until.unwrap_or(far)) => {}
        }
    }

    fn push(&mut self, name: &str, data: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(data) {
            self.ready.push_back(
                Event::default()
                    .event(name)
                    .id(self.seq.to_string())
                    .data(text),
            );
        }
    }
}
