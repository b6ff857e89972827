//! The language the daemons share.
