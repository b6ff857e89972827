//! A Director's runs on a real catalog with a real configuration, without a port: for tests of what stands above.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::ids::Term;
use common::shutdown::StopToken;

use super::{Runs, RunsParts};
use crate::authority::{Authority, Keys};
use crate::catalog::Catalog;
use crate::config::LiveConfig;
use crate::daemons::{Registry, RegistryFacts};

/// Runs and what they are made of; nothing is started.
pub(crate) struct Bench {
    pub folder: tempfile::TempDir,
    pub catalog: Catalog,
    pub config: Arc<LiveConfig>,
    pub runs: Runs,
}

impl Bench {
    pub async fn new(config: &str) -> Self {
        common::telemetry::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("director.toml");
        std::fs::write(&path, config).unwrap();
        let catalog = crate::catalog::testing::catalog().await;
        let keys =
            Arc::new(Keys::open(&folder.path().join("pki"), common::clock::now_ms()).unwrap());
        let facts = RegistryFacts {
            term: Term(1),
            ticket_key: keys.ticket_key().public_key(),
            heartbeat: Duration::from_millis(200),
            own_folders: Vec::new(),
        };
        let (registry, _events) = Registry::new(facts, catalog.clone(), Arc::clone(keys.store()));
        let config = LiveConfig::open(&path).unwrap();
        let authority = Arc::new(
            Authority::new(keys, catalog.clone(), Vec::new())
                .await
                .unwrap(),
        );
        let parts = RunsParts {
            catalog: catalog.clone(),
            config: Arc::clone(&config),
            registry,
            authority,
            term: Term(1),
            own_folders: vec![PathBuf::from("/own")],
        };
        let runs = Runs::new(parts, &StopToken::new());
        Self {
            folder,
            catalog,
            config,
            runs,
        }
    }

    /// Another configuration, taken into use.
    pub fn rewrite(&self, config: &str) {
        std::fs::write(self.folder.path().join("director.toml"), config).unwrap();
        self.config.reload().unwrap();
    }
}
