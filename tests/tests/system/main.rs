//! System tests: real daemons, a real PostgreSQL, real files. One program, so that it is linked once.

mod machinery;
