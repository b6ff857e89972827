//! The authority: who belongs to this installation. Root and issuing certificate, enrolment by token, renewal,
//! revocation, and the key that signs tickets.
//!
//! Never a private key of a daemon here; never a certificate that says what its asker wished; never a secret kept, only
//! its hash.

mod keys;

mod enrolment;

#[cfg(test)]
mod tests;

pub use enrolment::{Authority, AuthorityError, NewToken};
pub use keys::{Keys, KeysError};
