//! `holdfast-storaged`: runs the Storage Daemon, enrols it, or looks at its volumes while it does not run.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use common::telemetry::{Logging, init};
use storage_daemon::config::Config;
use storage_daemon::daemon::command_line::{Arguments, Command};
use storage_daemon::{daemon, offline};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked; whether all is well.
fn start() -> anyhow::Result<bool> {
    // Huge pages would let every free list of the allocator take megabytes. A kernel that cannot turn them off costs
    // memory, nothing else.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    init(&Logging::default()).context("set up the log")?;
    let Arguments { config, command } = Arguments::parse();
    // Tasks only pass frames: what takes time is done by the threads that verify, one per core.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads((cores / 2).max(1))
        .enable_all()
        .build()?;
    match command {
        Some(Command::Enrol { token }) => {
            runtime.block_on(daemon::run::enrol(&config, &token))?;
            return Ok(true);
        }
        Some(Command::CheckConfig) => return Ok(Config::load(&config).map(|_| true)?),
        Some(Command::Volume(command)) => {
            let mut out = std::io::stdout().lock();
            return Ok(offline::look(command, &Config::load(&config)?, &mut out)?);
        }
        None => {}
    }
    let config = Config::load(&config)?;
    runtime.block_on(async {
        let stop = common::shutdown::on_signals().context("watch for signals")?;
        let run = daemon::run::run(config, stop).await;
        run.context("run the Storage Daemon").map(|()| true)
    })
}
