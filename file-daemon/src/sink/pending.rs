//! Questions to the Storage Daemon that have no answer yet. Answers come in the order of the questions of their kind.

use std::collections::VecDeque;

use bytes::Bytes;
use common::codec::DecodeError;
use common::ids::PageId;
use common::object::segment::Segment;
use common::protocol::data::{Answer, Receipt};
use crossbeam_channel::Sender;
use parking_lot::Mutex;

/// Pages with their names.
pub type Pages = Vec<(PageId, Bytes)>;

#[derive(Debug, Default)]
struct Queues {
    answers: VecDeque<Sender<Answer>>,
    pages: VecDeque<Sender<Pages>>,
    checkpoints: VecDeque<Sender<()>>,
    receipt: Option<Sender<Receipt>>,
    closed: bool,
}

/// Who waits for what.
#[derive(Debug, Default)]
pub struct Pending {
    queues: Mutex<Queues>,
}

/// A question, with who asks.
#[derive(Debug)]
pub enum Asker {
    /// Ask.
    Answer(Sender<Answer>),
    /// PageGet.
    Pages(Sender<Pages>),
    /// Checkpoint.
    Checkpoint(Sender<()>),
    /// Commit.
    Receipt(Sender<Receipt>),
}

impl Pending {
    /// Notes a question, right before it is sent. After the end its asker is dropped, which is an answer too.
    pub fn ask(&self, asker: Asker) {
        let mut queues = self.queues.lock();
        if queues.closed {
            return;
        }
        match asker {
            Asker::Answer(to) => queues.answers.push_back(to),
            Asker::Pages(to) => queues.pages.push_back(to),
            Asker::Checkpoint(to) => queues.checkpoints.push_back(to),
            Asker::Receipt(to) => queues.receipt = Some(to),
        }
    }

    /// Answers the oldest Ask; whether there was one. So for the others.
    #[must_use]
    pub fn answer(&self, answer: Answer) -> bool {
        let to = self.queues.lock().answers.pop_front();
        to.is_some_and(|to| to.send(answer).is_ok())
    }

    /// Answers the oldest PageGet.
    #[must_use]
    pub fn pages(&self, pages: Pages) -> bool {
        let to = self.queues.lock().pages.pop_front();
        to.is_some_and(|to| to.send(pages).is_ok())
    }

    /// Answers the oldest Checkpoint.
    #[must_use]
    pub fn checkpointed(&self) -> bool {
        let to = self.queues.lock().checkpoints.pop_front();
        to.is_some_and(|to| to.send(()).is_ok())
    }

    /// Answers the Commit.
    #[must_use]
    pub fn receipt(&self, receipt: Receipt) -> bool {
        let to = self.queues.lock().receipt.take();
        to.is_some_and(|to| to.send(receipt).is_ok())
    }

    /// Whether a PageGet is awaited.
    #[must_use]
    pub fn waits_for_pages(&self) -> bool {
        !self.queues.lock().pages.is_empty()
    }

    /// No answer will come any more.
    pub fn close(&self) {
        *self.queues.lock() = Queues {
            closed: true,
            ..Queues::default()
        };
    }
}

/// The pages of a PageData segment. Their names are checked by whoever asked.
///
/// # Errors
/// The payload does not decode.
pub fn pages_of(segment: &Segment) -> Result<Pages, DecodeError> {
    let mut plain = Vec::new();
    let what = "pages of the base";
    segment
        .decode(&mut plain)
        .map_err(|_| DecodeError::Range { what })?;
    let mut rest = Bytes::from(plain);
    Ok(segment
        .slots
        .iter()
        .map(|slot| (PageId(slot.id.0), rest.split_to(slot.len as usize)))
        .collect())
}
