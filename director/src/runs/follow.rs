//! Following a run on its daemons: what they say, who is lost for too long, who comes back, who wants it stopped.
//!
//! Progress and log lines are dealt with here; everything that decides about the run is given to its driver, one moment
//! at a time. Never is a daemon waited for without a limit.

use std::sync::Arc;
use std::time::Duration;

use common::ids::{Identity, Role};
use common::protocol::control::SessionEvent;
use common::protocol::orders::RunEnd;
use common::shutdown::StopToken;
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::live::{Heard, Live};
use super::log::RunLog;
use crate::daemons::{Daemon, Registry};

/// Something that a run's driver decides about.
#[derive(Debug)]
pub(super) enum Moment {
    /// The client is done; it is told once the sender is used.
    Ended(RunEnd, oneshot::Sender<()>),
    /// The Storage Daemon reached a point.
    Session(SessionEvent),
    /// A daemon is back.
    Back(Daemon),
    /// A daemon has been away for too long.
    Lost(Role),
    /// Somebody wants the run stopped. Comes once.
    CancelAsked,
    /// A stop was asked for and the client does not answer.
    CancelOverdue,
    /// The Director stops.
    Stopping,
}

/// One daemon under watch.
#[derive(Debug)]
struct Watched {
    identity: Identity,
    daemon: Option<Daemon>,
    /// Given up at; none while it is here, or after it was given up.
    until: Option<Instant>,
}

/// A run's ears.
#[derive(Debug)]
pub(super) struct Follow {
    live: Arc<Live>,
    mailbox: mpsc::Receiver<Heard>,
    registry: Registry,
    changes: watch::Receiver<u64>,
    stop: StopToken,
    limit: Duration,
    watched: Vec<Watched>,
    cancel_told: bool,
    cancel_until: Option<Instant>,
}

impl Follow {
    pub fn new(
        live: Arc<Live>,
        mailbox: mpsc::Receiver<Heard>,
        registry: Registry,
        stop: StopToken,
    ) -> Self {
        Self {
            live,
            mailbox,
            changes: registry.changes(),
            registry,
            stop,
            limit: Duration::from_secs(120),
            watched: Vec::new(),
            cancel_told: false,
            cancel_until: None,
        }
    }

    /// Watches these daemons from now on; each may be away for `limit`.
    pub fn watch(&mut self, identities: [Identity; 2], limit: Duration) {
        self.limit = limit;
        self.watched = identities
            .into_iter()
            .map(|identity| {
                let daemon = self.registry.get(identity);
                let until = daemon.is_none().then(|| Instant::now() + limit);
                Watched {
                    identity,
                    daemon,
                    until,
                }
            })
            .collect();
    }

    /// After a stop was passed on: how long the client has to answer.
    pub fn expect_cancel_within(&mut self, limit: Duration) {
        self.cancel_until = Some(Instant::now() + limit);
    }

    /// The next moment.
    pub async fn next(&mut self, log: &RunLog) -> Moment {
        loop {
            if let Some(daemon) = self.came_back() {
                return Moment::Back(daemon);
            }
            let lost_at = self.watched.iter().filter_map(|w| w.until).min();
            let deadline = [lost_at, self.cancel_until].into_iter().flatten().min();
            let far = Instant::now() + Duration::from_secs(3600);
            let heard = tokio::select! {
                heard = self.mailbox.recv() => heard,
                () = gone(&self.watched) => {
                    self.note_losses();
                    continue;
                }
                _ = self.changes.changed() => continue,
                () = sleep_until(deadline.unwrap_or(far)) => match self.overdue() {
                    Some(moment) => return moment,
                    None => continue,
                },
                () = self.live.cancel_token().cancelled(), if !self.cancel_told => {
                    self.cancel_told = true;
                    return Moment::CancelAsked;
                }
                () = self.stop.cancelled() => return Moment::Stopping,
            };
            match heard {
                Some(Heard::Progress(progress)) => self.live.progress(&progress),
                Some(Heard::Log(source, lines)) => log.repeat(&source, lines).await,
                Some(Heard::Ended(end, recorded)) => return Moment::Ended(end, recorded),
                Some(Heard::Session(event)) => return Moment::Session(event),
                // The board holds the other end as long as the run is driven.
                None => return Moment::Stopping,
            }
        }
    }

    /// A daemon that was away and is here, or whose connection is another one than before.
    fn came_back(&mut self) -> Option<Daemon> {
        for watched in &mut self.watched {
            if watched.daemon.is_none()
                && let Some(daemon) = self.registry.get(watched.identity)
            {
                watched.daemon = Some(daemon.clone());
                watched.until = None;
                return Some(daemon);
            }
        }
        None
    }

    fn note_losses(&mut self) {
        for watched in &mut self.watched {
            if watched
                .daemon
                .as_ref()
                .is_some_and(|d| d.gone().now_or_never().is_some())
            {
                watched.daemon = None;
                watched.until = Some(Instant::now() + self.limit);
            }
        }
    }

    fn overdue(&mut self) -> Option<Moment> {
        let now = Instant::now();
        if self.cancel_until.take_if(|until| *until <= now).is_some() {
            return Some(Moment::CancelOverdue);
        }
        let lost = self
            .watched
            .iter_mut()
            .find(|w| w.until.is_some_and(|until| until <= now))?;
        lost.until = None;
        Some(Moment::Lost(lost.identity.role))
    }
}

/// Returns when the connection of a watched daemon that is here ends.
async fn gone(watched: &[Watched]) {
    let ends: Vec<_> = watched
        .iter()
        .filter_map(|w| w.daemon.as_ref())
        .map(|d| Box::pin(d.gone()))
        .collect();
    if ends.is_empty() {
        return std::future::pending().await;
    }
    futures_util::future::select_all(ends).await;
}
