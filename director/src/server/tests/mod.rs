//! A whole Director (real TLS, real PostgreSQL, the real API) with daemons that speak the real protocol and do what each
//! test scripts. What an operator would see is asserted: statuses, reasons, levels, listings.

mod api;
mod rig;
mod runs;
