//! Reading and writing the small binary parts of stored formats: little-endian integers, varints, length-prefixed bytes.
//!
//! Invariant: a [`Reader`] never reads past its end, never allocates by a length it has not checked, and never panics.

/// What a stored or received byte string did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends before `what`.
    #[error("truncated before {what}")]
    Truncated {
        /// The field that is missing.
        what: &'static str,
    },
    /// A field has a value outside its range.
    #[error("{what} out of range")]
    Range {
        /// The field.
        what: &'static str,
    },
    /// The magic number is another.
    #[error("{what} not recognised")]
    Magic {
        /// The object expected here.
        what: &'static str,
    },
    /// A version newer than this program knows.
    #[error("{what} has version {version}, newer than this program reads")]
    Version {
        /// The object.
        what: &'static str,
        /// Its version.
        version: u32,
    },
    /// Bytes follow where the object should end.
    #[error("{what} has {extra} bytes too many")]
    Trailing {
        /// The object.
        what: &'static str,
        /// How many.
        extra: usize,
    },
    /// Order or uniqueness is broken.
    #[error("{what} out of order")]
    Order {
        /// The sequence.
        what: &'static str,
    },
}

/// A cursor over untrusted bytes.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn bytes(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated { what })?;
        self.rest = tail;
        Ok(head)
    }

    /// A fixed array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated { what })?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.array::<1>(what)?[0])
    }

    /// Little-endian 16 bits.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    /// Little-endian 32 bits.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// Little-endian 64 bits.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`]
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// LEB128, at most 10 bytes, shortest form only (so that encodings are unique).
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::Range`]
    pub fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let part = u64::from(byte & 0x7f);
            if (shift == 63 && part > 1) || (byte == 0 && shift > 0) {
                return Err(DecodeError::Range { what });
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Range { what })
    }

    /// A signed varint (zigzag).
    ///
    /// # Errors
    /// As [`Reader::varint`].
    pub fn zigzag(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let v = self.varint(what)?;
        Ok(((v >> 1) as i64) ^ -((v & 1) as i64))
    }

    /// A varint that must fit 32 bits.
    ///
    /// # Errors
    /// As [`Reader::varint`].
    pub fn varint32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        u32::try_from(self.varint(what)?).map_err(|_| DecodeError::Range { what })
    }

    /// A varint length and that many bytes; the length is checked against `max` and what is left.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::Range`]
    pub fn prefixed(&mut self, max: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.varint(what)?).map_err(|_| DecodeError::Range { what })?;
        if len > max {
            return Err(DecodeError::Range { what });
        }
        self.bytes(len, what)
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] when bytes are left.
    pub fn finish(self, what: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing {
                what,
                extra: self.rest.len(),
            })
        }
    }
}

/// Appends a LEB128 varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed varint (zigzag).
pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a varint length and the bytes.
pub fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip(v in any::<u64>(), s in any::<i64>()) {
            let mut out = Vec::new();
            put_varint(&mut out, v);
            put_zigzag(&mut out, s);
            let mut r = Reader::new(&out);
            prop_assert_eq!(r.varint("v").unwrap(), v);
            prop_assert_eq!(r.zigzag("s").unwrap(), s);
            r.finish("all").unwrap();
        }

        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut r = Reader::new(&bytes);
            let _ = r.varint("v");
            let _ = r.prefixed(10, "p");
        }
    }

    #[test]
    fn overlong_varints_are_refused() {
        assert!(Reader::new(&[0x80, 0x00]).varint("v").is_err());
        assert!(Reader::new(&[0xff; 10]).varint("v").is_err());
    }
}
