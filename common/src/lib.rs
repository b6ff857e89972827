//! The language the Holdfast daemons share. Nothing here does business.
//!
//! Read bottom up: names and codecs, stored objects, the walk over them, the wire, the network, configuration, the API's
//! types. `object`, `walk`, `protocol`, `fileset` are pure: no I/O, no time of day.

pub mod api;
pub mod clock;
pub mod codec;
pub mod config;
pub mod durable;
pub mod fileset;
pub mod ids;
pub mod name;
pub mod net;
pub mod object;
pub mod protocol;
pub mod shutdown;
pub mod slabs;
pub mod telemetry;
pub mod walk;
