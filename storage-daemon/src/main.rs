//! `holdfast-storaged`: runs the Storage Daemon, enrols it, or looks at its volumes while it does not run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use common::telemetry::{Logging, init};
use storage_daemon::config::Config;
use storage_daemon::{daemon, volume_tool};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The Holdfast Storage Daemon.
#[derive(Parser)]
#[command(name = "holdfast-storaged", version)]
struct Arguments {
    /// Its configuration; state, keys and volumes lie beside it.
    #[arg(long)]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Join an installation with a token from `holdfast client token`.
    Enrol {
        /// The token.
        #[arg(long, env = "HOLDFAST_TOKEN")]
        token: String,
    },
    /// Check the configuration.
    CheckConfig,
    /// Look at the volumes while the daemon does not run.
    #[command(subcommand)]
    Volume(VolumeCommand),
}

#[derive(Subcommand)]
enum VolumeCommand {
    /// List them.
    List,
    /// Read and check every byte of them.
    Verify,
}

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<ExitCode> {
    init(&Logging::default()).context("set up the log")?;
    let Arguments { config, command } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut out = std::io::stdout().lock();
    match command {
        Some(Command::Enrol { token }) => runtime.block_on(daemon::enrol(&config, &token))?,
        Some(Command::CheckConfig) => drop(Config::load(&config)?),
        Some(Command::Volume(VolumeCommand::List)) => {
            volume_tool::list(&Config::load(&config)?, &mut out)?
        }
        Some(Command::Volume(VolumeCommand::Verify)) => {
            let is_whole = volume_tool::verify(&Config::load(&config)?, &mut out)?;
            return Ok(if is_whole {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            });
        }
        None => {
            let config = Config::load(&config)?;
            runtime.block_on(async {
                let stop = common::shutdown::on_signals().context("watch for signals")?;
                daemon::run(config, stop)
                    .await
                    .context("run the Storage Daemon")
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
