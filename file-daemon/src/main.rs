//! holdfast-filed: the File Daemon of one client machine.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use common::{shutdown, telemetry};
use file_daemon::config::Config;
use file_daemon::daemon::serve::{enrol, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Backs this machine up and restores it, as its Director orders.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file; its folder holds certificates and state.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/var/lib/holdfast/client/client.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Work until stopped (the default).
    Run,
    /// Join an installation with a one-time token.
    Enrol {
        /// The token as the Director printed it.
        #[arg(long)]
        token: String,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    telemetry::init(&telemetry::Logging::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let stop = shutdown::on_signals()?;
        match arguments.command {
            Some(Command::Enrol { token }) => Ok(enrol(&arguments.config, &token).await?),
            None | Some(Command::Run) => Ok(serve(Config::load(&arguments.config)?, &stop).await?),
        }
    });
    // A thread that hangs in the kernel does not keep the daemon.
    runtime.shutdown_background();
    ended
}
