//! The life of a run, PURE: one total function from state and event to the next state.
//!
//! ```text
//!           Held                     Started
//! queued ─────────▶ waiting(reason) ─────────▶ running ──── Committed ───▶ committing
//!    │  ▲ Held: another reason │  ▲               │ │                          │
//!    │  └──────────────────────┘  └─ Interrupted ─┘ │ Finished                 │ Finished
//!    └─────────────── Started ───────────────▶      ▼                          ▼
//!                                              ok │ warnings              ok │ warnings
//!  before the commit, from anywhere:  Failed ▶ error   Canceled ▶ canceled
//!  running, waiting:                  GivenUp ▶ incomplete      Committed ▶ committing
//!  committing:                        Failed ▶ error (the catalog refused for good)
//! ```
//!
//! Never is a run over twice; never does one that is stored on volumes end as canceled or incomplete; never is it a
//! success without having been committed or, for restores, finished by its client.

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody has looked at it yet.
    Queued,
    /// Something holds it, named here.
    Waiting(String),
    /// Daemons work on it.
    Running,
    /// Storage has it for good; the catalog follows.
    Committing,
    /// Over.
    Over(End),
}

/// How a run is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Everything.
    Ok,
    /// Done, with files not saved or not restored.
    Warnings,
    /// Failed: why.
    Error(String),
    /// Stopped: by whom.
    Canceled(String),
    /// Broken off with something to resume from: why.
    Incomplete(String),
}

/// How good a success is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything.
    Ok,
    /// With files not saved or not restored.
    Warnings,
}

/// What happens to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It may not start, for this reason.
    Held(String),
    /// It was admitted and its order goes out.
    Started,
    /// A daemon was lost for too long; it will be tried again when this has passed.
    Interrupted(String),
    /// Storage committed its snapshot.
    Committed,
    /// Backup: published. Restore: the client is done.
    Finished(Verdict),
    /// It cannot be done.
    Failed(String),
    /// Somebody stopped it.
    Canceled(String),
    /// It was broken off and will not be tried again; the next run goes on from its checkpoint.
    GivenUp(String),
}

/// An event that makes no sense in a state: a defect of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state:?} cannot take {event:?}")]
pub struct Illegal {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

/// The next state.
///
/// # Errors
/// The event makes no sense in this state.
pub fn next(state: &State, event: Event) -> Result<State, Illegal> {
    use Event as E;
    use State as S;
    Ok(match (state, event) {
        (S::Queued | S::Waiting(_), E::Held(reason)) => S::Waiting(reason),
        (S::Queued | S::Waiting(_), E::Started) => S::Running,
        (S::Running, E::Interrupted(reason)) => S::Waiting(reason),
        (S::Running | S::Waiting(_), E::Committed) => S::Committing,
        (S::Running | S::Committing, E::Finished(verdict)) => S::Over(match verdict {
            Verdict::Ok => End::Ok,
            Verdict::Warnings => End::Warnings,
        }),
        (S::Running | S::Waiting(_), E::GivenUp(reason)) => S::Over(End::Incomplete(reason)),
        (S::Queued | S::Waiting(_) | S::Running | S::Committing, E::Failed(reason)) => {
            S::Over(End::Error(reason))
        }
        (S::Queued | S::Waiting(_) | S::Running, E::Canceled(reason)) => {
            S::Over(End::Canceled(reason))
        }
        (state, event) => {
            return Err(Illegal {
                state: state.clone(),
                event,
            });
        }
    })
}

impl State {
    /// The catalog's word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting(_) => "waiting",
            Self::Running => "running",
            Self::Committing => "committing",
            Self::Over(End::Ok) => "ok",
            Self::Over(End::Warnings) => "warnings",
            Self::Over(End::Error(_)) => "error",
            Self::Over(End::Canceled(_)) => "canceled",
            Self::Over(End::Incomplete(_)) => "incomplete",
        }
    }

    /// Why it waits or how it ended, in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Waiting(reason)
            | Self::Over(End::Error(reason) | End::Canceled(reason) | End::Incomplete(reason)) => {
                reason
            }
            _ => "",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn r() -> String {
        "r".to_owned()
    }

    fn states() -> Vec<State> {
        let over = [
            End::Ok,
            End::Warnings,
            End::Error(r()),
            End::Canceled(r()),
            End::Incomplete(r()),
        ];
        [
            State::Queued,
            State::Waiting(r()),
            State::Running,
            State::Committing,
        ]
        .into_iter()
        .chain(over.map(State::Over))
        .collect()
    }

    fn events() -> [Event; 9] {
        [
            Event::Held(r()),
            Event::Started,
            Event::Interrupted(r()),
            Event::Committed,
            Event::Finished(Verdict::Ok),
            Event::Finished(Verdict::Warnings),
            Event::Failed(r()),
            Event::Canceled(r()),
            Event::GivenUp(r()),
        ]
    }

    #[test]
    fn every_state_takes_every_event_as_the_table_says() {
        // One row per state, one letter per event in the order of `events`: the next state's first letters, `-` illegal.
        let table = [
            ("queued", ["wa", "ru", "-", "-", "-", "-", "er", "ca", "-"]),
            (
                "waiting",
                ["wa", "ru", "-", "co", "-", "-", "er", "ca", "in"],
            ),
            (
                "running",
                ["-", "-", "wa", "co", "ok", "wr", "er", "ca", "in"],
            ),
            (
                "committing",
                ["-", "-", "-", "-", "ok", "wr", "er", "-", "-"],
            ),
            ("ok", ["-"; 9]),
            ("warnings", ["-"; 9]),
            ("error", ["-"; 9]),
            ("canceled", ["-"; 9]),
            ("incomplete", ["-"; 9]),
        ];
        for (state, (word, row)) in states().iter().zip(table) {
            assert_eq!(state.word(), word);
            for (event, expected) in events().into_iter().zip(row) {
                let found = match next(state, event.clone()) {
                    Ok(State::Over(End::Warnings)) => "wr",
                    Ok(state) => &state.word()[..2],
                    Err(_) => "-",
                };
                assert_eq!(found, expected, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_committed_run_never_ends_canceled_or_incomplete_and_reasons_are_kept() {
        let committing = next(&State::Running, Event::Committed).unwrap();
        assert!(next(&committing, Event::Canceled(r())).is_err());
        assert!(next(&committing, Event::GivenUp(r())).is_err());
        let waiting = next(&State::Queued, Event::Held("limit".into())).unwrap();
        assert_eq!(waiting.reason(), "limit");
    }
}
