//! `holdfast`: the console. Everything is in the library, so that tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    console::run(std::env::args_os())
}
