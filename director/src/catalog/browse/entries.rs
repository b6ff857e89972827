//! What browsing shows of a file: the row of one version.

use common::object::entry::Kind;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use super::super::row::Columns;
use super::super::series::Number;

/// A directory within a series; 1 is `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DirId(pub i32);

impl DirId {
    /// `/`
    pub const ROOT: Self = Self(1);
}

/// One version of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Name as bytes.
    pub name: Vec<u8>,
    /// The snapshot that stored this version first.
    pub since: Number,
    /// What it is; `None` = it is gone since then.
    pub kind: Option<Kind>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Modified: nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Permission bits with setuid, setgid, sticky, as lstat gives them.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bits of [`common::object::attribute::marks`].
    pub marks: u16,
}

/// A version with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Absolute path as bytes.
    pub path: Vec<u8>,
    /// The version.
    pub entry: FileEntry,
}

/// Where a list that crosses directories goes on: opaque to callers, given back as it came to the function it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Series.
    pub(super) series: i32,
    /// Directory.
    pub(super) dir: i32,
    /// Name.
    pub(super) name: Vec<u8>,
}

impl FromRow<'_, PgRow> for FileEntry {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let kind: i16 = row.try_get("kind")?;
        let kind = match kind {
            0 => None,
            byte => Some(
                u8::try_from(byte)
                    .map_err(|e| sqlx::Error::Decode(Box::new(e)))
                    .and_then(|b| Kind::from_u8(b).map_err(|e| sqlx::Error::Decode(Box::new(e))))?,
            ),
        };
        Ok(Self {
            name: row.try_get("name")?,
            since: Number::from_column(row.try_get("since")?)?,
            kind,
            size_bytes: row.unsigned("size")?,
            mtime_ns: row.try_get("mtime_ns")?,
            mode: bits(row, "mode")?,
            uid: bits(row, "uid")?,
            gid: bits(row, "gid")?,
            marks: row.try_get::<i16, _>("flags")?.cast_unsigned(),
        })
    }
}

/// Columns that hold 32 bits of any value in a signed integer.
fn bits(row: &PgRow, column: &str) -> Result<u32, sqlx::Error> {
    row.try_get::<i32, _>(column).map(i32::cast_unsigned)
}
