//! The part of `deny.toml` that this check enforces. cargo-deny reads more keys; they are ignored
//! here, and a key this check needs must be there.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The rules for dependencies.
#[derive(Deserialize)]
pub struct Rules {
    /// Licences.
    pub licenses: Licenses,
    /// Crates.
    pub bans: Bans,
    /// Registries.
    pub sources: Sources,
}

/// Which licences are accepted.
#[derive(Deserialize)]
pub struct Licenses {
    /// SPDX names.
    pub allow: Vec<String>,
    /// More names for single crates.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
}

/// A licence accepted for one crate.
#[derive(Deserialize)]
pub struct Exception {
    /// The crate.
    #[serde(rename = "crate")]
    pub name: String,
    /// SPDX names.
    pub allow: Vec<String>,
}

/// Which crates are refused.
#[derive(Deserialize)]
pub struct Bans {
    /// Names with reasons.
    pub deny: Vec<Ban>,
}

/// One refused crate.
#[derive(Deserialize)]
pub struct Ban {
    /// The crate.
    #[serde(rename = "crate")]
    pub name: String,
    /// Why, and what is used instead.
    pub reason: String,
}

/// Where crates may come from.
#[derive(Deserialize)]
pub struct Sources {
    /// Addresses of registries.
    #[serde(rename = "allow-registry")]
    pub registries: Vec<String>,
}

impl Sources {
    /// Whether a crate from `source`, an address, is accepted.
    pub fn allows(&self, source: &str) -> bool {
        self.registries
            .iter()
            .any(|registry| source.contains(registry.as_str()))
    }
}

impl Rules {
    /// Reads `deny.toml` of the project under `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join("deny.toml");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
    }
}
