//! The states of a backup session, PURE: one total function over every state and event.
//!
//! ```text
//!            Attach/Detach            Load, Pages, Checkpoint
//!            ┌──────────┐             ┌───┐
//!            ▼          │             ▼   │
//!   Waiting ──Attach──▶ Open ─────────┘   │
//!      │  ◀──Detach──   │ └───────────────┘
//!    Expire             │ Commit ──▶ Committed ──last Detach──▶ Ended
//!      ▼                ▼              (repeats its receipt)
//!    Ended ◀──Stop, Fail── (any)
//! ```
//! Invariants: after Commit nothing is stored any more; an ended session answers nothing.

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No connection; it waits for its client to come back.
    Waiting,
    /// With so many connections.
    Open(u32),
    /// The snapshot is durable; so many connections are left.
    Committed(u32),
    /// Over.
    Ended,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A connection was opened.
    Attach,
    /// A connection is gone.
    Detach,
    /// A segment or a run of pages came.
    Load,
    /// Pages of the base are wanted.
    PageGet,
    /// The client wants what it sent to be durable.
    Checkpoint,
    /// The client says that the tree is whole.
    Commit,
    /// The snapshot was stored.
    Stored,
    /// Nobody came back in time.
    Expire,
    /// Canceled, replaced, or the daemon stops.
    Stop,
    /// Something failed.
    Fail,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Start waiting for the client.
    Await,
    /// Store the load and acknowledge it.
    Store,
    /// Send pages.
    GivePages,
    /// Make durable and answer.
    MakeDurable,
    /// Store the snapshot.
    MakeSnapshot,
    /// Send the receipt of the snapshot that is stored.
    GiveReceipt,
    /// Commit what is whole and give the volumes back.
    Close,
}

/// An event that makes no sense in a state: the client is out of order, or this program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} makes no sense while the session is {state:?}")]
pub struct OutOfOrder {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

/// What follows.
///
/// # Errors
/// [`OutOfOrder`]: the state stays.
pub fn next(state: State, event: Event) -> Result<(State, Action), OutOfOrder> {
    use {Action as A, Event as E, State as S};
    Ok(match (state, event) {
        (S::Waiting, E::Attach) => (S::Open(1), A::Nothing),
        (S::Open(n), E::Attach) => (S::Open(n.saturating_add(1)), A::Nothing),
        (S::Committed(n), E::Attach) => (S::Committed(n.saturating_add(1)), A::Nothing),

        (S::Open(0 | 1), E::Detach) => (S::Waiting, A::Await),
        (S::Open(n), E::Detach) => (S::Open(n - 1), A::Nothing),
        (S::Committed(0 | 1), E::Detach) => (S::Ended, A::Close),
        (S::Committed(n), E::Detach) => (S::Committed(n - 1), A::Nothing),

        (S::Open(_), E::Load) => (state, A::Store),
        (S::Open(_), E::PageGet) => (state, A::GivePages),
        (S::Open(_), E::Checkpoint) => (state, A::MakeDurable),
        (S::Open(_), E::Commit) => (state, A::MakeSnapshot),
        (S::Open(n), E::Stored) => (S::Committed(n), A::GiveReceipt),
        (S::Committed(_), E::Commit) => (state, A::GiveReceipt),

        (S::Waiting, E::Expire) => (S::Ended, A::Close),
        // Someone came back, or it was over before the time was up.
        (S::Open(_) | S::Committed(_) | S::Ended, E::Expire) => (state, A::Nothing),
        (S::Ended, E::Detach | E::Stop | E::Fail) => (state, A::Nothing),
        (_, E::Stop | E::Fail) => (S::Ended, A::Close),

        (S::Waiting, E::Detach | E::Load | E::PageGet | E::Checkpoint | E::Commit | E::Stored)
        | (S::Committed(_), E::Load | E::PageGet | E::Checkpoint | E::Stored)
        | (S::Ended, E::Attach | E::Load | E::PageGet | E::Checkpoint | E::Commit | E::Stored) => {
            return Err(OutOfOrder { state, event });
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use {Event as E, State as S};

    const STATES: [State; 6] = [
        S::Waiting,
        S::Open(1),
        S::Open(2),
        S::Committed(1),
        S::Committed(2),
        S::Ended,
    ];
    const EVENTS: [Event; 10] = [
        E::Attach,
        E::Detach,
        E::Load,
        E::PageGet,
        E::Checkpoint,
        E::Commit,
        E::Stored,
        E::Expire,
        E::Stop,
        E::Fail,
    ];

    #[test]
    fn every_pair_is_decided_and_nothing_is_stored_after_a_commit() {
        for state in STATES {
            for event in EVENTS {
                let Ok((after, action)) = next(state, event) else {
                    continue;
                };
                if !matches!(state, S::Open(_)) {
                    assert!(!matches!(
                        action,
                        Action::Store | Action::MakeDurable | Action::MakeSnapshot
                    ));
                }
                if state == S::Ended {
                    assert_eq!((after, action), (S::Ended, Action::Nothing), "{event:?}");
                }
                if action == Action::Close {
                    assert_eq!(after, S::Ended);
                }
            }
        }
    }

    #[test]
    fn a_run_with_a_lost_connection() {
        let mut state = S::Waiting;
        for (event, action) in [
            (E::Attach, Action::Nothing),
            (E::Load, Action::Store),
            (E::Detach, Action::Await),
            (E::Attach, Action::Nothing),
            (E::Expire, Action::Nothing),
            (E::Checkpoint, Action::MakeDurable),
            (E::Commit, Action::MakeSnapshot),
            (E::Stored, Action::GiveReceipt),
            (E::Commit, Action::GiveReceipt),
            (E::Detach, Action::Close),
        ] {
            let (after, got) = next(state, event).unwrap();
            assert_eq!(got, action, "{event:?} in {state:?}");
            state = after;
        }
        assert_eq!(state, S::Ended);
    }

    #[test]
    fn what_is_out_of_order_is_an_error() {
        for (state, event) in [
            (S::Committed(1), E::Load),
            (S::Committed(1), E::Checkpoint),
            (S::Waiting, E::Load),
            (S::Ended, E::Commit),
            (S::Ended, E::Attach),
        ] {
            assert_eq!(next(state, event), Err(OutOfOrder { state, event }));
        }
    }
}
