//! A device that fails when told: short writes, no space, I/O errors, a sync that lies. For tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use super::{Device, DeviceError, Listed, Space, VolumeFile};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An append stores half of its last part and fails.
    ShortWrite,
    /// An append finds no space.
    NoSpace,
    /// A sync fails.
    SyncFails,
    /// A read fails.
    ReadFails,
}

/// Counts down to a fault, over all volumes of a device.
#[derive(Default)]
pub struct Plan {
    fault: Mutex<Option<Fault>>,
    left: AtomicI64,
}

impl Plan {
    /// From the `after`-th matching call on (0 = the next), every one fails.
    pub fn arm(&self, fault: Fault, after: i64) {
        self.left.store(after, Ordering::SeqCst);
        *self.fault.lock() = Some(fault);
    }

    /// All is well again.
    pub fn disarm(&self) {
        *self.fault.lock() = None;
    }

    fn strikes(&self, of: &[Fault]) -> Option<Fault> {
        let fault = (*self.fault.lock()).filter(|f| of.contains(f))?;
        (self.left.fetch_sub(1, Ordering::SeqCst) <= 0).then_some(fault)
    }
}

/// Wraps a device.
pub struct Faulty {
    inner: Arc<dyn Device>,
    plan: Arc<Plan>,
}

impl Faulty {
    /// The device and the switch for its faults.
    pub fn new(inner: Arc<dyn Device>) -> (Arc<Self>, Arc<Plan>) {
        let plan = Arc::new(Plan::default());
        (
            Arc::new(Self {
                inner,
                plan: plan.clone(),
            }),
            plan,
        )
    }

    fn wrap(&self, inner: Arc<dyn VolumeFile>) -> Arc<dyn VolumeFile> {
        Arc::new(FaultyVolume {
            inner,
            plan: self.plan.clone(),
        })
    }
}

impl Device for Faulty {
    fn list(&self) -> Result<Vec<Listed>, DeviceError> {
        self.inner.list()
    }
    fn create(&self, name: &str) -> Result<Arc<dyn VolumeFile>, DeviceError> {
        if self.plan.strikes(&[Fault::NoSpace]).is_some() {
            return Err(DeviceError::new(
                "create volume",
                name,
                io::ErrorKind::StorageFull.into(),
            ));
        }
        self.inner.create(name).map(|v| self.wrap(v))
    }
    fn open(&self, name: &str) -> Result<Arc<dyn VolumeFile>, DeviceError> {
        self.inner.open(name).map(|v| self.wrap(v))
    }
    fn delete(&self, name: &str) -> Result<(), DeviceError> {
        self.inner.delete(name)
    }
    fn set_aside(&self, name: &str, offset: u64) -> Result<String, DeviceError> {
        self.inner.set_aside(name, offset)
    }
    fn space(&self) -> Result<Space, DeviceError> {
        self.inner.space()
    }
}

struct FaultyVolume {
    inner: Arc<dyn VolumeFile>,
    plan: Arc<Plan>,
}

impl VolumeFile for FaultyVolume {
    fn bytes(&self) -> Result<u64, DeviceError> {
        self.inner.bytes()
    }
    fn append(&self, offset: u64, parts: &[&[u8]]) -> Result<(), DeviceError> {
        let kind = match self.plan.strikes(&[Fault::ShortWrite, Fault::NoSpace]) {
            None => return self.inner.append(offset, parts),
            Some(Fault::NoSpace) => io::ErrorKind::StorageFull,
            Some(_) => io::ErrorKind::Other,
        };
        let all = parts.concat();
        self.inner.append(offset, &[&all[..all.len() / 2]])?;
        Err(DeviceError::new("append to volume", "faulty", kind.into()))
    }
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DeviceError> {
        match self.plan.strikes(&[Fault::ReadFails]) {
            None => self.inner.read(offset, buffer),
            Some(_) => Err(DeviceError::new(
                "read volume",
                "faulty",
                io::Error::from_raw_os_error(5),
            )),
        }
    }
    fn sync(&self) -> Result<(), DeviceError> {
        match self.plan.strikes(&[Fault::SyncFails]) {
            None => self.inner.sync(),
            Some(_) => Err(DeviceError::new(
                "sync volume",
                "faulty",
                io::Error::from_raw_os_error(5),
            )),
        }
    }
    fn truncate(&self, offset: u64) -> Result<(), DeviceError> {
        self.inner.truncate(offset)
    }
}
