//! The wire, PURE: frames, hello, control messages (Director and daemons), data messages (File and Storage Daemons).
//!
//! docs/protocol.md tells who says what when. Unknown fields are ignored, unknown messages are answered with an error,
//! lengths are checked before anything is allocated. Tags and frame types are never reused.

pub mod control;
pub mod data;
pub mod enrol;
pub mod fault;
pub mod frame;
pub mod orders;
pub mod restore;
pub mod ticket;
