//! Enrolment and renewal: how a machine gets its certificate, and the token that lets it in.
//!
//! A token is one line, `hf1-` and base64url: addresses of the Director, the SHA-256 of the installation's root
//! certificate (so that the newcomer knows whom it talks to before it says anything), and a secret used once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;

use crate::codec::DecodeError;

/// What a machine needs to join.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Token {
    /// `host:port` of the Director, tried in order.
    #[prost(string, repeated, tag = "1")]
    pub addresses: Vec<String>,
    /// SHA-256 of the root certificate's DER (32 bytes).
    #[prost(bytes = "vec", tag = "2")]
    pub root_sha256: Vec<u8>,
    /// The secret (32 random bytes).
    #[prost(bytes = "vec", tag = "3")]
    pub secret: Vec<u8>,
    /// DNS name in the Director's certificate.
    #[prost(string, tag = "4")]
    pub director: String,
    /// Role it is for: `file` or `storage`.
    #[prost(string, tag = "5")]
    pub role: String,
    /// Label it is for.
    #[prost(string, tag = "6")]
    pub name: String,
}

impl Token {
    /// As one line for a person to paste.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("hf1-{}", URL_SAFE_NO_PAD.encode(self.encode_to_vec()))
    }

    /// Reads [`Token::to_text`] back.
    ///
    /// # Errors
    /// When it is not a whole token.
    pub fn from_text(text: &str) -> Result<Self, DecodeError> {
        let range = DecodeError::Range {
            what: "enrolment token",
        };
        let body = text.trim().strip_prefix("hf1-").ok_or(DecodeError::Magic {
            what: "enrolment token",
        })?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| range)?;
        let token = Self::decode(bytes.as_slice()).map_err(|_| range)?;
        let whole = token.root_sha256.len() == 32
            && token.secret.len() == 32
            && !token.addresses.is_empty();
        if whole { Ok(token) } else { Err(range) }
    }
}

/// A machine presents its token.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EnrolRequest {
    /// The token's secret.
    #[prost(bytes = "vec", tag = "1")]
    pub secret: Vec<u8>,
    /// Certificate signing request, DER: only its public key is taken.
    #[prost(bytes = "vec", tag = "2")]
    pub csr: Vec<u8>,
    /// Host name, for the record.
    #[prost(string, tag = "3")]
    pub host: String,
    /// Software version.
    #[prost(string, tag = "4")]
    pub version: String,
}

/// A daemon wants a fresh certificate for a fresh key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RenewRequest {
    /// Certificate signing request, DER.
    #[prost(bytes = "vec", tag = "1")]
    pub csr: Vec<u8>,
}

/// Certificate and what belongs to it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EnrolReply {
    /// Leaf first, then the issuing certificate: DER.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub chain: Vec<Vec<u8>>,
    /// Root certificate: DER.
    #[prost(bytes = "vec", tag = "2")]
    pub root: Vec<u8>,
    /// The daemon's UUID (16 bytes).
    #[prost(bytes = "vec", tag = "3")]
    pub id: Vec<u8>,
    /// Its label.
    #[prost(string, tag = "4")]
    pub name: String,
    /// DNS name in the Director's certificate.
    #[prost(string, tag = "5")]
    pub director: String,
}
