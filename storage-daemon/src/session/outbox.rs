//! The way from a session's thread to a connection: frames in order, bounded in bytes. A thread waits while too much is
//! under way; the asynchronous side never waits for a thread.

use std::sync::Arc;

use bytes::Bytes;
use common::protocol::fault::Fault;
use common::protocol::frame::FrameType;
use parking_lot::{Condvar, Mutex};
use prost::Message;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes under way to one connection.
const WINDOW_BYTES: usize = 8 << 20;

/// Frames under way to one connection: only a peer that does not read has so many.
const FRAMES: usize = 4096;

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
struct State {
    bytes: usize,
    is_gone: bool,
    is_ended: bool,
}

#[derive(Default)]
struct Budget {
    state: Mutex<State>,
    changed: Condvar,
}

/// The sending end; clones share it.
#[derive(Clone)]
pub struct Outbox {
    queue: Sender<Next>,
    budget: Arc<Budget>,
}

/// The receiving end, of the connection's writing task.
pub struct Outlet {
    queue: Receiver<Next>,
    budget: Arc<Budget>,
}

/// A pair.
#[must_use]
pub fn outbox() -> (Outbox, Outlet) {
    let (sender, queue) = channel(FRAMES);
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
    /// Sends a frame from a thread; waits while more than the window is under way.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn send(&self, frame_type: FrameType, head: Vec<u8>, payload: Bytes) -> Result<(), Gone> {
        let bytes = head.len() + payload.len();
        {
            let mut state = self.budget.state.lock();
            while state.bytes > 0 && state.bytes + bytes > WINDOW_BYTES && !state.is_gone {
                self.budget.changed.wait(&mut state);
            }
            if state.is_gone {
                return Err(Gone);
            }
            state.bytes += bytes;
        }
        let frame = Next::Frame(Outgoing {
            frame_type,
            head,
            payload,
        });
        self.queue.blocking_send(frame).map_err(|_| Gone)
    }

    /// Sends a small frame without waiting; a peer that lets twice the window pile up is given up.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn offer(&self, frame_type: FrameType, head: Vec<u8>) -> Result<(), Gone> {
        {
            let mut state = self.budget.state.lock();
            if state.is_gone || state.bytes > 2 * WINDOW_BYTES {
                return Err(Gone);
            }
            state.bytes += head.len();
        }
        let frame = Next::Frame(Outgoing {
            frame_type,
            head,
            payload: Bytes::new(),
        });
        self.queue.try_send(frame).map_err(|_| Gone)
    }

    /// Sends a protobuf message from a thread; waits like [`Outbox::send`].
    ///
    /// # Errors
    /// [`Gone`]
    pub fn message(&self, frame_type: FrameType, message: &impl Message) -> Result<(), Gone> {
        self.send(frame_type, message.encode_to_vec(), Bytes::new())
    }

    /// Sends a protobuf message without waiting, from a task: like [`Outbox::offer`].
    ///
    /// # Errors
    /// [`Gone`]
    pub fn offer_message(&self, frame_type: FrameType, message: &impl Message) -> Result<(), Gone> {
        self.offer(frame_type, message.encode_to_vec())
    }

    /// Says why the connection ends, and ends it.
    pub fn fault(&self, fault: &Fault) {
        // A peer that is gone needs no reason.
        let _ = self.offer_message(FrameType::Fault, fault);
        self.end();
    }

    /// Ends the connection after what was sent before.
    pub fn end(&self) {
        self.budget.state.lock().is_ended = true;
        // When no frame fits any more, the writing task sees the mark behind the last one.
        let _ = self.queue.try_send(Next::End);
    }
}

impl Outlet {
    /// The next frame; `None` when every sender is gone.
    pub async fn next(&mut self) -> Option<Next> {
        if self.is_empty() && self.budget.state.lock().is_ended {
            return Some(Next::End);
        }
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
        state.bytes = state.bytes.saturating_sub(bytes);
        self.budget.changed.notify_all();
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.budget.state.lock().is_gone = true;
        self.budget.changed.notify_all();
    }
}
