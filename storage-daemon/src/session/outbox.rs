//! The way from a session's thread to a connection: frames in order, bounded in bytes. A thread waits while too much is
//! under way; the asynchronous side never waits for a thread.

use std::sync::Arc;

use bytes::Bytes;
use common::protocol::fault::Fault;
use common::protocol::frame::FrameType;
use parking_lot::{Condvar, Mutex};
use prost::Message;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Bytes under way to one connection.
const WINDOW_BYTES: usize = 16 << 20;

/// A frame to be sent.
#[derive(Debug)]
pub struct Outgoing {
    /// Its type.
    pub frame_type: FrameType,
    /// First part of the body.
    pub head: Vec<u8>,
    /// Rest of the body.
    pub payload: Bytes,
}

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is gone")]
pub struct Gone;

/// What the writing task gets.
#[derive(Debug)]
pub enum Next {
    /// A frame.
    Frame(Outgoing),
    /// Nothing follows: send what is there and end the connection.
    End,
}

#[derive(Default)]
struct Budget {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

/// The sending end; clones share it.
#[derive(Clone)]
pub struct Outbox {
    queue: UnboundedSender<Next>,
    budget: Arc<Budget>,
}

/// The receiving end, of the connection's writing task.
pub struct Outlet {
    queue: UnboundedReceiver<Next>,
    budget: Arc<Budget>,
}

/// A pair.
#[must_use]
pub fn outbox() -> (Outbox, Outlet) {
    let (sender, queue) = unbounded_channel();
    let budget = Arc::new(Budget::default());
    (
        Outbox {
            queue: sender,
            budget: budget.clone(),
        },
        Outlet { queue, budget },
    )
}

impl Outbox {
    /// Sends a frame; waits while more than the window is under way.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn send(&self, frame_type: FrameType, head: Vec<u8>, payload: Bytes) -> Result<(), Gone> {
        let bytes = head.len() + payload.len();
        {
            let mut state = self.budget.state.lock();
            while state.0 > 0 && state.0 + bytes > WINDOW_BYTES && !state.1 {
                self.budget.changed.wait(&mut state);
            }
            if state.1 {
                return Err(Gone);
            }
            state.0 += bytes;
        }
        self.push(Outgoing {
            frame_type,
            head,
            payload,
        })
    }

    /// Sends a small frame without waiting; a peer that lets twice the window pile up is given up.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn offer(&self, frame_type: FrameType, head: Vec<u8>) -> Result<(), Gone> {
        {
            let mut state = self.budget.state.lock();
            if state.1 || state.0 > 2 * WINDOW_BYTES {
                return Err(Gone);
            }
            state.0 += head.len();
        }
        self.push(Outgoing {
            frame_type,
            head,
            payload: Bytes::new(),
        })
    }

    /// Sends a protobuf message.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn message(&self, frame_type: FrameType, message: &impl Message) -> Result<(), Gone> {
        self.offer(frame_type, message.encode_to_vec())
    }

    /// Says why the connection ends, and ends it.
    pub fn fault(&self, fault: &Fault) {
        // A peer that is gone needs no reason.
        let _ = self.message(FrameType::Fault, fault);
        self.end();
    }

    /// Ends the connection after what was sent before.
    pub fn end(&self) {
        let _ = self.queue.send(Next::End);
    }

    fn push(&self, frame: Outgoing) -> Result<(), Gone> {
        self.queue.send(Next::Frame(frame)).map_err(|_| Gone)
    }
}

impl Outlet {
    /// The next frame; `None` when every sender is gone.
    pub async fn next(&mut self) -> Option<Next> {
        self.queue.recv().await
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// So many bytes have left.
    pub fn sent(&self, bytes: usize) {
        let mut state = self.budget.state.lock();
        state.0 = state.0.saturating_sub(bytes);
        self.budget.changed.notify_all();
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.budget.state.lock().1 = true;
        self.budget.changed.notify_all();
    }
}
