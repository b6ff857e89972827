//! Logs and the TLS provider: what every program sets up first.
//!
//! Lines go to stderr or to one file, as text or JSON, filtered by `HOLDFAST_LOG` (the syntax of `RUST_LOG`, default
//! `info`). Never a secret in a field.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where logs go.
#[derive(Debug, Clone, Default)]
pub struct Logging {
    /// Append to this file; `None` = stderr.
    pub file: Option<PathBuf>,
    /// Shape of a line.
    pub format: LineFormat,
}

/// Sets up the TLS provider and the log of a daemon: the first call in `main`.
///
/// # Errors
/// When the log file cannot be opened.
pub fn init(logging: &Logging) -> io::Result<()> {
    install_crypto_provider();
    let writer = match &logging.file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            BoxMakeWriter::new(Mutex::new(file))
        }
        None => BoxMakeWriter::new(io::stderr),
    };
    let filter = EnvFilter::try_from_env("HOLDFAST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false)
        .with_target(false);
    // A second call (tests in one process) keeps the first subscriber.
    let _ = match logging.format {
        LineFormat::Text => builder.try_init(),
        LineFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

/// Makes aws-lc-rs the TLS provider of this process, also for libraries that ask for the default one.
/// Calling it again does nothing.
pub fn install_crypto_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
