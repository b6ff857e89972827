//! Binary COPY: rows as PostgreSQL reads them fastest.
//!
//! Format: signature, then per row a field count and per field a length and big-endian bytes, then
//! a field count of -1. Invariant: a COPY that was begun is finished or its connection is closed; it
//! is never left half-way on a pooled connection.

use sqlx::PgConnection;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Bytes of one message of the stream.
const SEND_BYTES: usize = 512 << 10;

/// Builds the bytes of a COPY.
#[derive(Debug)]
pub(super) struct Encoder {
    out: Vec<u8>,
    fields: i16,
}

impl Encoder {
    /// For rows of so many columns.
    pub fn new(fields: i16) -> Self {
        let mut out = Vec::with_capacity(64 << 10);
        out.extend_from_slice(SIGNATURE);
        Self { out, fields }
    }

    /// Begins a row; its fields follow in order.
    pub fn row(&mut self) -> &mut Self {
        self.out.extend_from_slice(&self.fields.to_be_bytes());
        self
    }

    pub fn int2(&mut self, value: i16) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub fn int4(&mut self, value: i32) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub fn int8(&mut self, value: i64) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.field(value)
    }

    fn field(&mut self, value: &[u8]) -> &mut Self {
        // Names have 255 bytes at most; numbers have 8.
        let len = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.out.extend_from_slice(&len.to_be_bytes());
        self.out.extend_from_slice(value);
        self
    }

    /// The whole stream.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(&(-1_i16).to_be_bytes());
        self.out
    }
}

/// Sends a whole stream. Returns the number of rows taken.
pub(super) async fn copy_in(
    connection: &mut PgConnection,
    statement: &str,
    bytes: &[u8],
) -> Result<u64, sqlx::Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    for part in bytes.chunks(SEND_BYTES) {
        copy.send(part).await?;
    }
    copy.finish().await
}
