//! Where volumes lie. A device creates, lists, reads, extends and deletes named runs of bytes; it never knows what a
//! chunk is. Every device passes `conformance`.

pub mod device_trait;
pub mod disk;

#[cfg(test)]
pub mod conformance;
#[cfg(test)]
pub mod faulty;

pub use device_trait::{Device, DeviceError, Listed, Space, VolumeFile};
