pub mod authority;
pub mod catalog;
pub mod daemons;
