//! The guard of the terminal: text of others is shown, never obeyed.
//!
//! Invariant: what leaves here holds no control byte but line breaks, and no mark that reorders text.

/// A text of a peer, made harmless for a terminal: every control byte and bidirectional mark escaped, line breaks kept.
#[must_use]
pub fn plain(text: &str) -> String {
    // A backslash of the text is no escape of ours: only what is dangerous is escaped.
    text.split('\n')
        .map(|line| {
            line.split('\\')
                .map(|part| common::name::Shown(part.as_bytes()).to_string())
                .collect::<Vec<_>>()
                .join("\\")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_of_a_peer_cannot_drive_the_terminal() {
        assert_eq!(
            super::plain("a\x1b[2Jb \\x0a\nc\u{202e}"),
            "a\\x1b[2Jb \\x0a\nc\\xe2\\x80\\xae"
        );
    }
}
