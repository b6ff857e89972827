//! All volumes of a Storage Daemon: their labels and state, which are free to be written, and reading blocks of any.
//!
//! A session takes a volume for itself while it writes and gives it back unfinished, so that many sessions write at
//! once and short ones share volumes over time. Invariant: never two writers on one volume.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common::object::segment::{Segment, Slot};
use common::slabs;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::pacer::{Pacer, SyncGate};
use super::writer::{History, Tip, VolumeError, VolumeWriter};
use super::{Location, scan};
use crate::device::{Device, DeviceError, Space, VolumeFile};
use crate::format::block::{ALIGN, BlockError, Header};
use crate::format::label::{Holds, Label};

/// Most files kept open for reading.
const MAX_OPEN: usize = 256;

/// Whether a volume takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Takes more blocks.
    Append,
    /// Sealed.
    Full,
    /// Failed or damaged: read only, and never written again.
    Error,
}

impl Status {
    /// As reported.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Full => "full",
            Self::Error => "error",
        }
    }
}

/// What is known of a volume.
#[derive(Debug, Clone)]
pub struct Volume {
    /// What it is.
    pub label: Arc<Label>,
    /// Whether it takes more.
    pub status: Status,
    /// Its bytes when last seen.
    pub bytes: u64,
}

/// A whole block, checked.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its header.
    pub header: Header,
    /// Slots, codec and payload.
    pub segment: Segment,
}

/// Why a block cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its volume is not here.
    #[error("volume number {0} is not present")]
    NoVolume(u32),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The bytes are not what was written.
    #[error("damaged block in volume {volume} at offset {offset}")]
    Damaged {
        /// Name of the volume.
        volume: String,
        /// Offset of the block.
        offset: u64,
        /// What is wrong.
        source: BlockError,
    },
}

/// Facts that make new volumes.
#[derive(Debug, Clone)]
pub struct Making {
    /// This Storage Daemon.
    pub storage: Uuid,
    /// Longest volume in bytes.
    pub max_bytes: u64,
}

/// All volumes.
pub struct VolumeSet {
    device: Arc<dyn Device>,
    making: Making,
    pacer: Pacer,
    volumes: RwLock<HashMap<u32, Volume>>,
    idle: Mutex<Vec<VolumeWriter>>,
    /// Left by a session that did not end in order.
    abandoned: Mutex<Vec<Arc<Label>>>,
    /// One for the life of the daemon: a failed sync is never forgotten.
    gates: Mutex<HashMap<u32, Arc<SyncGate>>>,
    open: Mutex<HashMap<u32, Arc<dyn VolumeFile>>>,
    next_number: AtomicU64,
}

impl VolumeSet {
    /// Reads the labels of all volumes of the device. Files whose label cannot be read are left alone and reported.
    ///
    /// # Errors
    /// The device cannot be listed.
    pub fn open(device: Arc<dyn Device>, making: Making) -> Result<Self, DeviceError> {
        let mut volumes = HashMap::new();
        for listed in device.list()? {
            match read_label(device.as_ref(), &listed.name) {
                Ok(label) if volumes.contains_key(&label.number) => {
                    tracing::error!(
                        volume = listed.name,
                        number = label.number,
                        "second volume of this number: left alone"
                    );
                }
                Ok(label) => {
                    let volume = Volume {
                        label: Arc::new(label),
                        status: Status::Full,
                        bytes: listed.bytes,
                    };
                    volumes.insert(volume.label.number, volume);
                }
                Err(reason) => {
                    tracing::error!(
                        volume = listed.name,
                        reason,
                        "label cannot be read: the file is left alone"
                    );
                }
            }
        }
        let next = volumes.keys().max().map_or(1, |n| u64::from(*n) + 1);
        Ok(Self {
            device,
            making,
            pacer: Pacer::new(),
            volumes: RwLock::new(volumes),
            idle: Mutex::default(),
            abandoned: Mutex::default(),
            gates: Mutex::default(),
            open: Mutex::default(),
            next_number: AtomicU64::new(next),
        })
    }

    /// Numbers below this are used up, also by volumes that were deleted.
    pub fn reserve_numbers(&self, next: u32) {
        self.next_number.fetch_max(next.into(), Ordering::SeqCst);
    }

    /// The next volume's number.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        u32::try_from(self.next_number.load(Ordering::SeqCst)).unwrap_or(u32::MAX)
    }

    /// All volumes, by number.
    #[must_use]
    pub fn list(&self) -> Vec<Volume> {
        let mut all: Vec<Volume> = self.volumes.read().values().cloned().collect();
        all.sort_by_key(|v| v.label.number);
        all
    }

    /// Whether a volume of this number is present.
    #[must_use]
    pub fn has(&self, number: u32) -> bool {
        self.volumes.read().contains_key(&number)
    }

    /// Name of a volume.
    #[must_use]
    pub fn name(&self, number: u32) -> String {
        let volumes = self.volumes.read();
        volumes
            .get(&number)
            .map_or_else(|| format!("number {number}"), |v| v.label.name())
    }

    /// Room on the device.
    ///
    /// # Errors
    /// Not known.
    pub fn space(&self) -> Result<Space, DeviceError> {
        self.device.space()
    }

    /// The device, for recovery and the offline tool.
    #[must_use]
    pub fn device(&self) -> &dyn Device {
        self.device.as_ref()
    }

    /// An unfinished volume of this pool and kind, or a new one.
    ///
    /// # Errors
    /// No new volume could be made.
    pub fn acquire(&self, pool: &str, holds: Holds) -> Result<VolumeWriter, VolumeError> {
        let fits = |w: &VolumeWriter| w.label.pool == pool && w.label.holds == holds;
        {
            let mut idle = self.idle.lock();
            if let Some(at) = idle.iter().position(fits) {
                return Ok(idle.swap_remove(at));
            }
        }
        self.make(pool, holds)
    }

    fn make(&self, pool: &str, holds: Holds) -> Result<VolumeWriter, VolumeError> {
        let number = self.next_number.fetch_add(1, Ordering::SeqCst);
        let label = Arc::new(Label {
            number: u32::try_from(number).expect("four thousand million volumes are never made"),
            uuid: Uuid::new_v4(),
            holds,
            pool: pool.to_owned(),
            created_ms: common::clock::now_ms(),
            storage: self.making.storage,
        });
        let file = self.device.create(&label.name())?;
        let gate = self.gate(label.number, &file);
        let made = VolumeWriter::create(&label, gate, self.making.max_bytes);
        let writer = match made {
            Ok(writer) => writer,
            Err(error) => {
                drop(file);
                // Nothing was ever told of it.
                let _ = self.device.delete(&label.name());
                return Err(error);
            }
        };
        tracing::info!(volume = label.name(), pool, "made a volume");
        self.open.lock().insert(label.number, file);
        self.record(label, Status::Append, writer.bytes());
        Ok(writer)
    }

    fn record(&self, label: Arc<Label>, status: Status, bytes: u64) {
        self.volumes.write().insert(
            label.number,
            Volume {
                label,
                status,
                bytes,
            },
        );
    }

    /// Takes a volume back that can take more.
    pub fn release(&self, writer: VolumeWriter) {
        self.record(writer.label.clone(), Status::Append, writer.bytes());
        self.idle.lock().push(writer);
    }

    /// Takes note of a volume whose session is gone without an end.
    pub fn abandon(&self, writer: &VolumeWriter) {
        if writer.has_failed() {
            self.failed(&writer.label);
        } else {
            self.abandoned.lock().push(writer.label.clone());
        }
    }

    /// A volume of this pool that must be recovered before anyone writes on it: data first, so that pages can be judged.
    #[must_use]
    pub fn take_abandoned(&self, pool: &str) -> Option<Arc<Label>> {
        let mut abandoned = self.abandoned.lock();
        let mine = abandoned.iter().enumerate();
        let (at, _) = mine
            .filter(|(_, label)| label.pool == pool)
            .min_by_key(|(_, label)| label.holds == Holds::Pages)?;
        Some(abandoned.swap_remove(at))
    }

    fn gate(&self, number: u32, file: &Arc<dyn VolumeFile>) -> Arc<SyncGate> {
        let mut gates = self.gates.lock();
        let gate = gates.entry(number);
        gate.or_insert_with(|| Arc::new(SyncGate::new(file.clone())))
            .clone()
    }

    /// Notes that a volume is sealed.
    pub fn sealed(&self, writer: &VolumeWriter) {
        self.gates.lock().remove(&writer.label.number);
        self.record(writer.label.clone(), Status::Full, writer.bytes());
    }

    /// Notes that a volume failed: it stays readable and is never written again.
    pub fn failed(&self, label: &Arc<Label>) {
        let mut volumes = self.volumes.write();
        if let Some(volume) = volumes.get_mut(&label.number) {
            volume.status = Status::Error;
        }
    }

    /// Notes how far a volume being written has grown, and paces its writeback.
    pub fn grown(&self, writer: &mut VolumeWriter) {
        writer.pace(&self.pacer);
        if let Some(volume) = self.volumes.write().get_mut(&writer.label.number) {
            volume.bytes = writer.bytes();
        }
    }

    /// Gives a volume found unfinished at start to the writers.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn reopen(
        &self,
        label: &Arc<Label>,
        tip: Tip,
        history: History,
    ) -> Result<VolumeWriter, DeviceError> {
        let file = self.file(label.number).map_err(|error| match error {
            ReadError::Device(e) => e,
            _ => DeviceError::new(
                "open volume",
                label.name(),
                std::io::ErrorKind::NotFound.into(),
            ),
        })?;
        Ok(VolumeWriter::new(
            label.clone(),
            self.gate(label.number, &file),
            self.making.max_bytes,
            tip,
            history,
        ))
    }

    /// Cuts a torn tail off into a keepsake.
    ///
    /// # Errors
    /// The volume is as it was.
    pub fn set_aside(&self, label: &Label, offset: u64) -> Result<String, DeviceError> {
        self.open.lock().remove(&label.number);
        self.device.set_aside(&label.name(), offset)
    }

    /// The open file of a volume.
    ///
    /// # Errors
    /// Not present, or it cannot be opened.
    pub fn file(&self, number: u32) -> Result<Arc<dyn VolumeFile>, ReadError> {
        let name = match self.volumes.read().get(&number) {
            Some(volume) => volume.label.name(),
            None => return Err(ReadError::NoVolume(number)),
        };
        let mut open = self.open.lock();
        if let Some(file) = open.get(&number) {
            return Ok(file.clone());
        }
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        let file = self.device.open(&name)?;
        open.insert(number, file.clone());
        Ok(file)
    }

    /// Reads and checks the block of this location.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn read(&self, location: Location) -> Result<Block, ReadError> {
        let uuid = match self.volumes.read().get(&location.volume) {
            Some(volume) => volume.label.uuid,
            None => return Err(ReadError::NoVolume(location.volume)),
        };
        let file = self.file(location.volume)?;
        let mut buffer = slabs::take_filled(location.block_bytes());
        let got = file.read(location.offset(), &mut buffer)?;
        buffer.truncate(got);
        decode_block(&slabs::lend(buffer), uuid, location.offset()).map_err(|source| {
            ReadError::Damaged {
                volume: self.name(location.volume),
                offset: location.offset(),
                source,
            }
        })
    }
}

fn decode_block(bytes: &Bytes, volume: Uuid, offset: u64) -> Result<Block, BlockError> {
    let header = Header::parse(bytes)?;
    header.check_place(volume, offset)?;
    let slots: Vec<Slot> = header.check(bytes)?;
    let start = header.head_bytes();
    let end = (start + header.payload_bytes as usize).min(bytes.len());
    let payload = bytes.slice(start..end);
    header.check_payload(&payload)?;
    Ok(Block {
        header,
        segment: Segment {
            codec: header.codec,
            slots,
            payload,
        },
    })
}

fn read_label(device: &dyn Device, name: &str) -> Result<Label, String> {
    let file = device.open(name).map_err(|e| e.to_string())?;
    let mut buffer = vec![0; ALIGN as usize];
    let got = file.read(0, &mut buffer).map_err(|e| e.to_string())?;
    buffer.truncate(got);
    let parsed = Header::parse(&buffer).map_err(|e| e.to_string())?;
    let (header, payload) = scan::read_payload(file.as_ref(), parsed.place.volume, 0)
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    let label = Label::from_bytes(&payload).map_err(|e| e.to_string())?;
    if label.uuid != header.place.volume || label.name() != name {
        return Err(format!(
            "the label is that of volume {} {}",
            label.name(),
            label.uuid
        ));
    }
    Ok(label)
}
