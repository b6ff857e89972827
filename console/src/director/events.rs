//! The event stream of a run, read line by line.
//!
//! Invariant: a line is bounded; what is not understood is skipped, so that a newer Director can say more.

use bytes::{Buf, BytesMut};
use common::api::events::{Event, EventsQuery};
use common::ids::JobId;

use super::{Director, DirectorError};

/// Longest line of a stream, in bytes.
const MAX_LINE: usize = 1 << 20;

/// The stream broke before the run was over; it goes on without us.
#[derive(Debug, thiserror::Error)]
#[error("lost the Director: {0}")]
pub struct Lost(pub String);

/// Events of one run.
pub struct EventStream {
    response: reqwest::Response,
    buffer: BytesMut,
    parser: Parser,
}

impl Director {
    /// Opens `GET /runs/{id}/events`.
    ///
    /// # Errors
    /// As [`DirectorError`].
    pub async fn events(
        &self,
        id: JobId,
        after: Option<u64>,
    ) -> Result<EventStream, DirectorError> {
        let query = EventsQuery { after };
        let response = self.stream(&format!("/runs/{id}/events"), &query).await?;
        Ok(EventStream {
            response,
            buffer: BytesMut::new(),
            parser: Parser::default(),
        })
    }
}

impl EventStream {
    /// The next event.
    ///
    /// # Errors
    /// When the stream ends or breaks: the caller opens it again after the last log line it saw.
    pub async fn next(&mut self) -> Result<Event, Lost> {
        loop {
            while let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(at);
                self.buffer.advance(1);
                if let Some(event) = self.parser.line(&line) {
                    return Ok(event);
                }
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Lost("a line of the event stream is too long".into()));
            }
            match self.response.chunk().await {
                Ok(Some(part)) => self.buffer.extend_from_slice(&part),
                Ok(None) => return Err(Lost("the event stream ended early".into())),
                Err(e) => return Err(Lost(e.to_string())),
            }
        }
    }
}

/// Lines to events (the `text/event-stream` format).
#[derive(Default)]
struct Parser {
    name: String,
    data: String,
}

impl Parser {
    fn line(&mut self, line: &[u8]) -> Option<Event> {
        let line = std::str::from_utf8(line).ok()?.trim_end_matches('\r');
        if line.is_empty() {
            let (name, data) = (
                std::mem::take(&mut self.name),
                std::mem::take(&mut self.data),
            );
            return event(&name, &data);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = value.to_owned(),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

fn event(name: &str, data: &str) -> Option<Event> {
    match name {
        "progress" => serde_json::from_str(data).ok().map(Event::Progress),
        "log" => serde_json::from_str(data).ok().map(Event::Log),
        "end" => serde_json::from_str(data)
            .ok()
            .map(|run| Event::End(Box::new(run))),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_of_lines_and_unknown_ones_are_skipped() {
        let text = ": hello\n\nevent: other\ndata: {}\n\nid: 3\nevent: log\r\ndata: {\"seq\":3,\"at\":\"2026-11-24T12:00:00Z\",\ndata: \"severity\":\"warning\",\"text\":\"x\"}\r\n\n";
        let mut parser = Parser::default();
        let events: Vec<Event> = text
            .split('\n')
            .filter_map(|line| parser.line(line.as_bytes()))
            .collect();
        let [Event::Log(line)] = events.as_slice() else {
            panic!("{events:?}");
        };
        assert_eq!((line.seq, line.text.as_str()), (3, "x"));
    }
}
