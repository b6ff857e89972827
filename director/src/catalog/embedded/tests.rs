//! Embedded tests.
