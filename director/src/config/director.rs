//! `[director]`: where it listens, its zone, its limits.

use std::time::Duration;

use common::config::{Period, Spanned};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::context::Context;

/// How many backups may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In the whole installation.
    pub director: usize,
    /// On one client.
    pub client: usize,
    /// To one Storage Daemon.
    pub storage: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            director: 50,
            client: 2,
            storage: 20,
        }
    }
}

/// The Director's own settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Director {
    /// `host:port`, at least one; port 0 = a free one.
    pub listen: Vec<String>,
    /// Addresses that go into tokens; empty = those it listens on.
    pub addresses: Vec<String>,
    /// Zone of schedules and typed times.
    pub zone: TimeZone,
    /// How many backups may run at once.
    pub limits: Limits,
    /// How long a run waits for a client or storage that is not connected.
    pub offline_limit: Duration,
    /// How long a moving run waits for a daemon that was lost.
    pub reconnect_limit: Duration,
    /// Whether only people write configuration files: the API changes nothing then.
    pub files_only: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DirectorTable {
    listen: Option<Vec<Spanned<String>>>,
    addresses: Option<Vec<Spanned<String>>>,
    zone: Option<Spanned<String>>,
    max_runs: Option<Spanned<u16>>,
    max_runs_per_client: Option<Spanned<u16>>,
    max_runs_per_storage: Option<Spanned<u16>>,
    offline_limit: Option<Period>,
    reconnect_limit: Option<Period>,
    managed: Option<Managed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Managed {
    /// API and console may write `conf.d`.
    Api,
    /// Only people do.
    Files,
}

/// Default address: this machine only.
const LISTEN: &str = "127.0.0.1:9311";

impl DirectorTable {
    pub fn check(self, context: &mut Context<'_>) -> Director {
        let defaults = Limits::default();
        let zone = self
            .zone
            .map_or_else(TimeZone::system, |name| zone(&name, context));
        let listen = addresses(self.listen.unwrap_or_default(), context);
        Director {
            listen: if listen.is_empty() {
                vec![LISTEN.to_owned()]
            } else {
                listen
            },
            addresses: addresses(self.addresses.unwrap_or_default(), context),
            zone,
            limits: Limits {
                director: limit(self.max_runs, defaults.director, context),
                client: limit(self.max_runs_per_client, defaults.client, context),
                storage: limit(self.max_runs_per_storage, defaults.storage, context),
            },
            offline_limit: self
                .offline_limit
                .unwrap_or(Period::from_secs(3600))
                .duration(),
            reconnect_limit: self
                .reconnect_limit
                .unwrap_or(Period::from_secs(120))
                .duration(),
            files_only: self.managed == Some(Managed::Files),
        }
    }
}

fn limit(value: Option<Spanned<u16>>, default: usize, context: &mut Context<'_>) -> usize {
    let Some(value) = value else { return default };
    if *value.get_ref() == 0 {
        context.wrong(
            value.span(),
            "a limit of 0 runs lets nothing start",
            "write 1 or more",
        );
    }
    usize::from(*value.get_ref())
}

fn zone(name: &Spanned<String>, context: &mut Context<'_>) -> TimeZone {
    TimeZone::get(name.get_ref()).unwrap_or_else(|_| {
        context.wrong(
            name.span(),
            format!(
                "{:?} is not a time zone known on this machine",
                name.get_ref()
            ),
            "write an IANA name as in \"Europe/Berlin\"; `timedatectl list-timezones` lists them",
        );
        TimeZone::UTC
    })
}

/// Checks `host:port` texts; wrong ones are reported and left out.
fn addresses(texts: Vec<Spanned<String>>, context: &mut Context<'_>) -> Vec<String> {
    let mut good = Vec::with_capacity(texts.len());
    for text in texts {
        let valid = text.get_ref().rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok() && !host.contains(char::is_whitespace)
        });
        if valid {
            good.push(text.into_inner());
        } else {
            context.wrong(
                text.span(),
                format!("{:?} is not an address", text.get_ref()),
                "write host:port, as in \"backup.example:9311\" or \"[::1]:9311\"",
            );
        }
    }
    good
}
