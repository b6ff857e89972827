//! File names are bytes. This is how they are shown to people and written into text, and read back.
//!
//! Invariant: what is shown holds no control byte and no broken UTF-8, and [`unescape`] gives back the exact bytes.

use std::fmt;

/// Shows a name or path: UTF-8 as it is, everything a terminal could obey or choke on as `\xNN`; a backslash as `\\`.
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    c if is_harmless(c) => write!(f, "{c}")?,
                    c => escape_bytes(f, c.encode_utf8(&mut [0; 4]).as_bytes())?,
                }
            }
            escape_bytes(f, chunk.invalid())?;
        }
        Ok(())
    }
}

/// Printable and not able to reorder or hide text (bidirectional overrides, zero-width marks, line separators).
fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

fn escape_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "\\x{b:02x}"))
}

/// The bytes that [`Shown`] printed.
///
/// # Errors
/// The offset of the first backslash that starts neither `\\` nor `\xNN`.
pub fn unescape(text: &str) -> Result<Vec<u8>, usize> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        if b != b'\\' {
            out.push(b);
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'\\') {
            out.push(b'\\');
            at += 2;
        } else {
            let hex = match (bytes.get(at + 1), text.get(at + 2..at + 4)) {
                (Some(b'x'), Some(hex)) => hex,
                _ => return Err(at),
            };
            out.push(u8::from_str_radix(hex, 16).map_err(|_| at)?);
            at += 4;
        }
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_bytes_and_broken_utf8_are_escaped() {
        for (raw, shown) in [
            (&b"plain \xc3\xa4"[..], "plain \u{e4}"),
            (b"a\nb\x1b[31m", "a\\x0ab\\x1b[31m"),
            (b"\xff\\", "\\xff\\\\"),
            ("\u{202e}".as_bytes(), "\\xe2\\x80\\xae"),
        ] {
            assert_eq!(Shown(raw).to_string(), shown);
        }
        assert_eq!(unescape("a\\q"), Err(1));
        assert_eq!(unescape("\\x4"), Err(0));
    }

    proptest! {
        #[test]
        fn shown_names_come_back(raw in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(unescape(&Shown(&raw).to_string()).unwrap(), raw);
        }
    }
}
