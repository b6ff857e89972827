//! Where answers go: text or JSON on standard output, everything on the way on standard error.
//!
//! Invariant: standard output holds the answer and nothing else, so that it can be piped.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::Zone;
use crate::outcome::CommandError;

/// How answers are written.
pub struct Screen {
    /// Zone of shown times.
    pub zone: Zone,
    json: bool,
}

impl Screen {
    /// For this command.
    #[must_use]
    pub fn new(zone: Zone, json: Json) -> Self {
        Self {
            zone,
            json: json == Json::Yes,
        }
    }

    /// Whether answers are JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The answer: as JSON, or as the text that `text` makes of it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn answer<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T, &Zone) -> String,
    ) -> Result<(), CommandError> {
        if self.json {
            self.json(value)
        } else {
            self.text(&text(value, &self.zone))
        }
    }

    /// One JSON value, indented.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn json<T: Serialize>(&self, value: &T) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(value)?;
        Ok(writeln!(io::stdout().lock(), "{text}")?)
    }

    /// One JSON value on one line, for streams.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn json_line<T: Serialize>(&self, value: &T) -> Result<(), CommandError> {
        let text = serde_json::to_string(value)?;
        Ok(writeln!(io::stdout().lock(), "{text}")?)
    }

    /// Text of an answer.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn text(&self, text: &str) -> Result<(), CommandError> {
        Ok(writeln!(io::stdout().lock(), "{}", super::plain(text))?)
    }

    /// Something on the way, for a person only.
    pub fn note(&self, text: &str) {
        // Nobody is left to be told when standard error is gone.
        let _ = writeln!(io::stderr().lock(), "{}", super::plain(text));
    }

    /// Whether progress can be drawn.
    #[must_use]
    pub fn can_draw() -> bool {
        io::stderr().is_terminal()
    }
}

/// The form of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Json {
    /// JSON.
    Yes,
    /// Text.
    No,
}
