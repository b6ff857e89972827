//! Arguments of `up`, `down`, `protect`, `completion`.

use std::ffi::OsString;
use std::net::IpAddr;

use clap::{Args, ValueEnum};

/// `up`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast up                                         everything on this machine, reachable from it alone
  holdfast up --listen 192.0.2.10                     reachable by other machines
  holdfast up --root /srv/holdfast --port-base 9411   a second installation
  holdfast up --only client --token hf1-...           a client; `holdfast client add` printed the token
Running it again starts only what is not running. `holdfast down` stops it.")]
pub struct UpArgs {
    /// Address others reach this machine by; loopback when not given
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<IpAddr>,
    /// Only this daemon
    #[arg(long, value_enum)]
    pub only: Option<Only>,
    /// One-time token, for a daemon of a Director on another machine
    #[arg(long, requires = "only")]
    pub token: Option<String>,
    /// Port of the Director; the Storage Daemon takes this + 2
    #[arg(long, default_value_t = 9311, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65533))]
    pub port_base: u16,
}

/// One daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// The Director, with the catalog
    Director,
    /// The Storage Daemon
    Storage,
    /// The File Daemon
    Client,
}

/// `down`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast down                   client, storage, Director, in this order
  holdfast down --only client
Runs that are going on end as incomplete and are resumed by the next run of their job.")]
pub struct DownArgs {
    /// Only this daemon
    #[arg(long, value_enum)]
    pub only: Option<Only>,
}

/// `protect`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast protect /etc --daily 21:00 --keep 30d
  holdfast protect /home /srv --name data --client web01 --daily 02:30 --keep 90d
  holdfast protect /home --exclude '*.tmp' --exclude /home/*/.cache
What it writes are plain files in the Director's conf.d: edit them as you like, then `holdfast reload`.")]
pub struct ProtectArgs {
    /// Folders on the client, absolute
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<OsString>,
    /// Each day at this time, in the Director's zone; without it nothing starts by itself
    #[arg(long, value_name = "HH:MM")]
    pub daily: Option<String>,
    /// How long snapshots are kept (30d, 12w, 1y); without it as the pool says
    #[arg(long, value_name = "TIME")]
    pub keep: Option<String>,
    /// Name of the job [default: made from the first folder]
    #[arg(long)]
    pub name: Option<String>,
    /// Client [default: the only one there is]
    #[arg(long)]
    pub client: Option<String>,
    /// Leave out what matches this glob (may be repeated)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
}

/// `completion`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast completion bash > /etc/bash_completion.d/holdfast
  holdfast completion zsh  > ~/.zfunc/_holdfast")]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `detach`
#[derive(Debug, Args)]
pub struct DetachArgs {
    /// Program and arguments
    #[arg(required = true, last = true)]
    pub program: Vec<OsString>,
}
