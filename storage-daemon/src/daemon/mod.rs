//! The daemon itself: what it is asked on the command line, what the Director asks it, and everything wired together.

pub mod command_line;
pub mod control;
pub mod run;
