//! Label: first block of a volume; says what the volume is. Encoding: magic `HFVL`, version byte, a protobuf message.

use common::codec::{DecodeError, Reader};
use prost::Message;
use uuid::Uuid;

const MAGIC: [u8; 4] = *b"HFVL";
const VERSION: u8 = 1;

/// What a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holds {
    /// Segments of content.
    Data,
    /// Pages, snapshots and notes.
    Pages,
}

impl Holds {
    /// As written in labels, names and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Pages => "pages",
        }
    }

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        match text {
            "data" => Ok(Self::Data),
            "pages" => Ok(Self::Pages),
            _ => Err(DecodeError::Range {
                what: "label: holds",
            }),
        }
    }
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its number on its Storage Daemon, from 1, never reused.
    pub number: u32,
    /// Its identity for ever.
    pub uuid: Uuid,
    /// What it holds.
    pub holds: Holds,
    /// Pool it was made for.
    pub pool: String,
    /// When: milliseconds since the epoch.
    pub created_ms: i64,
    /// Storage Daemon that made it.
    pub storage: Uuid,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Fields {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(bytes = "vec", tag = "2")]
    uuid: Vec<u8>,
    #[prost(string, tag = "3")]
    holds: String,
    #[prost(string, tag = "4")]
    pool: String,
    #[prost(int64, tag = "5")]
    created_ms: i64,
    #[prost(bytes = "vec", tag = "6")]
    storage: Vec<u8>,
}

impl Label {
    /// The volume's name: what it holds and its number.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{:06}", self.holds.as_str(), self.number)
    }

    /// The payload of the label block.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let fields = Fields {
            number: self.number,
            uuid: self.uuid.as_bytes().to_vec(),
            holds: self.holds.as_str().to_owned(),
            pool: self.pool.clone(),
            created_ms: self.created_ms,
            storage: self.storage.as_bytes().to_vec(),
        };
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        fields.encode_raw(&mut out);
        out
    }

    /// Reads the payload of a label block.
    ///
    /// # Errors
    /// When it is not a label this version reads.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let what = "volume label";
        let mut r = Reader::new(bytes);
        if r.array::<4>(what)? != MAGIC {
            return Err(DecodeError::Magic { what });
        }
        let version = r.u8(what)?;
        if version != VERSION {
            return Err(DecodeError::Version {
                what,
                version: version.into(),
            });
        }
        let range = DecodeError::Range { what };
        let fields = Fields::decode(r.bytes(r.remaining(), what)?).map_err(|_| range)?;
        let uuid = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|_| range);
        if fields.number == 0 {
            return Err(range);
        }
        Ok(Self {
            number: fields.number,
            uuid: uuid(&fields.uuid)?,
            holds: Holds::from_str(&fields.holds)?,
            pool: fields.pool,
            created_ms: fields.created_ms,
            storage: uuid(&fields.storage)?,
        })
    }
}
