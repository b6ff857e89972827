//! Append and read across volumes; what stands where; recovery of what a crash left.

pub mod audit;
pub mod location;
pub mod pacer;
pub mod scan;
pub mod set;
pub mod writer;

pub use location::Location;
pub use set::{Block, ReadError, Status, Volume, VolumeSet};
pub use writer::{VolumeError, VolumeWriter};
