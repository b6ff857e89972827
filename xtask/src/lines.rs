//! Lines to the two streams. A reader that went away (`| head`) ends the output, never the program
//! with a panic.

use std::io::Write;

/// One line to standard output.
pub fn out(line: &str) {
    let _gone = writeln!(std::io::stdout().lock(), "{line}");
}

/// One line to standard error.
pub fn err(line: &str) {
    let _gone = writeln!(std::io::stderr().lock(), "{line}");
}
