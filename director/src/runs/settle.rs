//! What became of a backup run: the Storage Daemon is asked before anything is decided, since only it knows of a commit.

use std::sync::Arc;
use std::time::Duration;

use common::ids::{Identity, PageId, Role};
use common::protocol::control::{Body, SessionQuery, SessionState};
use common::protocol::fault::FaultText;
use common::protocol::orders::{RunEnd, Severity};

use super::backup::{Backup, Flow, Place, works_on};
use super::machine::Event;
use super::patience::{patiently, stubbornly};
use super::record::Halt;

/// A Storage Daemon that is here answers within this.
const ASK_LIMIT: Duration = Duration::from_secs(30);

impl Backup {
    /// Where a run of an earlier Director wrote, with the ears opened there.
    pub(super) async fn reopen(&mut self) -> Result<Option<Place>, Halt> {
        let row = &self.driven.row;
        let (Some(series), Some(number), Some(storage)) = (row.series, row.number, row.storage)
        else {
            return Ok(None);
        };
        let storage = Identity {
            role: Role::Storage,
            id: storage,
        };
        let inner = Arc::clone(&self.driven.inner);
        let found = patiently(&inner.stop, || inner.catalog.daemon(storage)).await?;
        let owner = patiently(&inner.stop, || inner.catalog.series(series)).await?;
        let (Some(found), Some(owner)) = (found, owner) else {
            return Ok(None);
        };
        let client = Identity {
            role: Role::File,
            id: owner.client_id,
        };
        let name = self.driven.row.client.clone();
        self.listen((client, &name), (storage, &found.name));
        self.driven
            .log
            .say(
                Severity::Notice,
                "the Director was restarted; asking the storage what became of the run",
            )
            .await;
        let head = self.head(series).await?;
        self.place = Some(Place {
            series,
            number,
            storage,
            client,
            head,
        });
        Ok(self.place.clone())
    }

    /// What became of a run that an earlier Director had begun.
    pub(super) async fn settle(&mut self, place: &Place) -> Result<Flow, Halt> {
        let limit = self.driven.inner.config.get().director.offline_limit;
        match self.ask(place, limit).await? {
            Some(state) if state.state == "committed" => {
                return Ok(Flow::Committed(state.snapshot));
            }
            Some(state) if state.state == "open" => {}
            Some(_) => return Ok(Flow::Interrupted("the Director was restarted".to_owned())),
            None => {
                return Ok(Flow::Interrupted(
                    "the Director was restarted, the storage is not connected".to_owned(),
                ));
            }
        }
        let reconnect = self.driven.inner.config.get().director.reconnect_limit;
        let client = self.driven.inner.registry.wait_for(place.client, reconnect);
        let client = tokio::select! {
            client = client => client,
            () = self.driven.inner.stop.cancelled() => return Err(Halt::Stopping),
        };
        match client {
            Ok(client) if works_on(&client, self.driven.job_id().0) => self.follow(place).await,
            _ => Ok(Flow::Interrupted(
                "the Director was restarted, the client no longer works on the run".to_owned(),
            )),
        }
    }

    pub(super) async fn client_ended(&mut self, place: &Place, end: &RunEnd) -> Result<Flow, Halt> {
        let fault = end.fault.as_ref().map(|f| FaultText(f).to_string());
        let said =
            fault.unwrap_or_else(|| format!("the client says {:?} and no reason", end.outcome));
        let event = match end.outcome.as_str() {
            "incomplete" => return self.unless_committed_else(place, Flow::Interrupted(said)).await,
            "canceled" => match &self.canceled {
                Some(_) => self.canceled_event(),
                None => Event::Canceled(format!("stopped on the client: {said}")),
            },
            "ok" | "warnings" => Event::Failed(
                "the client reports success, but the storage has no such snapshot: nothing was saved; start the run again".to_owned(),
            ),
            _ => Event::Failed(said),
        };
        self.unless_committed(place, event).await
    }

    pub(super) async fn unless_committed(
        &mut self,
        place: &Place,
        event: Event,
    ) -> Result<Flow, Halt> {
        self.unless_committed_else(place, Flow::Over(event)).await
    }

    /// The commit when there is one, else the other.
    pub(super) async fn unless_committed_else(
        &mut self,
        place: &Place,
        other: Flow,
    ) -> Result<Flow, Halt> {
        let limit = self.driven.inner.config.get().director.reconnect_limit;
        match self.ask(place, limit).await? {
            Some(state) if state.state == "committed" => Ok(Flow::Committed(state.snapshot)),
            Some(_) => Ok(other),
            None => Ok(match other {
                Flow::Over(event @ Event::Canceled(_)) => Flow::Over(event),
                _ => Flow::Interrupted("the Storage Daemon is not connected".to_owned()),
            }),
        }
    }

    /// What the Storage Daemon knows of the run. `None` = it is not there for `limit`.
    pub(super) async fn ask(
        &mut self,
        place: &Place,
        limit: Duration,
    ) -> Result<Option<SessionState>, Halt> {
        let inner = Arc::clone(&self.driven.inner);
        let question = async {
            let storage = inner.registry.wait_for(place.storage, limit).await.ok()?;
            let query = SessionQuery {
                job_id: self.driven.job_id().0,
            };
            match storage.request(Body::SessionQuery(query), ASK_LIMIT).await {
                Ok(Body::SessionState(state)) => Some(state),
                _ => None,
            }
        };
        let state = tokio::select! {
            state = question => state,
            () = inner.stop.cancelled() => return Err(Halt::Stopping),
        };
        if let Some(root) = state
            .as_ref()
            .and_then(|s| PageId::from_slice(&s.checkpoint).ok())
        {
            let job_id = self.driven.job_id();
            stubbornly(&inner.stop, || {
                inner.catalog.record_checkpoint(job_id, root)
            })
            .await?;
            self.driven.row.checkpoint = Some(root);
        }
        Ok(state)
    }
}
