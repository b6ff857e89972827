//! Arguments of `client` and `storage`.

use clap::{Args, Subcommand};

/// `client`
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Make a client and print the one command for its machine
    Add(ClientAdd),
    /// All clients
    List,
    /// Is it reachable, is its clock right, may it read everything?
    Check(ClientName),
    /// A new token for a client whose machine was set up anew; its snapshots stay
    #[command(after_help = "Examples:\n  holdfast client replace web01")]
    Replace(ClientAdd),
    /// Shut a client out at once; its snapshots stay
    Revoke(ClientRevoke),
}

/// `client add`, `client replace`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast client add web01              prints the command for web01 and waits until it has connected
  holdfast client add web01 --no-wait
  holdfast client add me --local         the File Daemon runs on the Director's machine")]
pub struct ClientAdd {
    /// Name of the client
    pub name: String,
    /// The machine is the Director's own: loopback is enough
    #[arg(long)]
    pub local: bool,
    /// Do not wait until it has connected
    #[arg(long)]
    pub no_wait: bool,
    /// Longest wait, in minutes
    #[arg(long, default_value_t = 15, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=1440))]
    pub timeout: u64,
}

/// `client check`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdfast client check web01")]
pub struct ClientName {
    /// Name of the client
    pub name: String,
}

/// `client revoke`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  holdfast client revoke web01 --reason 'laptop was stolen'")]
pub struct ClientRevoke {
    /// Name of the client
    pub name: String,
    /// Why, for the record
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `storage`
#[derive(Debug, Subcommand)]
pub enum StorageCommand {
    /// Make a Storage Daemon's name and print the one command for its machine
    Add(StorageAdd),
    /// All Storage Daemons
    List,
}

/// `storage add`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  holdfast storage add vault1
  holdfast storage add vault1 --replace     a new certificate; the old one is lost")]
pub struct StorageAdd {
    /// Name of the Storage Daemon
    pub name: String,
    /// The machine is the Director's own
    #[arg(long)]
    pub local: bool,
    /// It exists and needs a new certificate
    #[arg(long)]
    pub replace: bool,
}
