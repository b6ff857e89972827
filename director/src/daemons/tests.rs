//! The Director's port with real TLS, a real catalog and real daemons' clients: who joins, who stays, who is shut out.
#![allow(clippy::unwrap_used, clippy::panic)]

mod http;
mod joining;
mod paging;
mod talking;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::clock::now_ms;
use common::ids::{Identity, Role, Term};
use common::net::control::{ControlClient, ControlHandler};
use common::net::conversation::{Answer, ControlSender};
use common::net::pki::CredentialStore;
use common::protocol::control::{Body, Envelope, Hello, PageReply, SessionState, Welcome};
use common::protocol::enrol::Token;
use common::shutdown::StopToken;
use tokio::sync::mpsc;

use super::{DaemonEvent, Happening, Listener, Registry, RegistryFacts};
use crate::authority::{Authority, Keys, NewToken};
use crate::catalog::Catalog;

pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A Director's port and what belongs to it.
pub(super) struct Rig {
    pub folder: tempfile::TempDir,
    pub catalog: Catalog,
    pub authority: Arc<Authority>,
    pub registry: Registry,
    pub events: mpsc::Receiver<DaemonEvent>,
    pub address: String,
    pub stop: StopToken,
}

impl Rig {
    pub async fn new() -> Self {
        common::telemetry::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let catalog = crate::catalog::testing::catalog().await;
        let keys = Keys::open(&folder.path().join("pki"), now_ms()).unwrap();
        let keys = Arc::new(keys);
        let facts = RegistryFacts {
            term: Term(3),
            ticket_key: keys.ticket_key().public_key(),
            heartbeat: Duration::from_millis(200),
            own_folders: vec![PathBuf::from("/own")],
        };
        let (registry, events) = Registry::new(facts, catalog.clone(), keys.store().clone());
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let any = ["127.0.0.1:0".to_owned()];
        let listener = Listener::bind(&any, &hosts, &keys).await.unwrap();
        let address = listener.addresses()[0].to_string();
        let addresses = vec![address.clone()];
        let authority = Authority::new(keys, catalog.clone(), addresses);
        let authority = Arc::new(authority.await.unwrap());
        let stop = StopToken::new();
        let stopped = stop.clone();
        let api = axum::Router::new().route("/hello", axum::routing::get(http::hello));
        let parties = (authority.clone(), registry.clone());
        tokio::spawn(async move { listener.run(parties, api, &stopped).await });
        Self {
            folder,
            catalog,
            authority,
            registry,
            events,
            address,
            stop,
        }
    }

    pub async fn token(&self, role: Role, name: &str, life: Duration) -> Token {
        let new = NewToken {
            role,
            name: name.to_owned(),
            life,
            created_by: "test".to_owned(),
        };
        Token::from_text(&self.authority.create_token(new).await.unwrap()).unwrap()
    }

    pub async fn enrol(&self, role: Role, name: &str) -> Arc<CredentialStore> {
        let token = self.token(role, name, LIMIT).await;
        let folder = self.folder.path().join(name);
        common::net::enrol::enrol(&token, role, &folder)
            .await
            .unwrap();
        CredentialStore::open(&folder).unwrap()
    }

    /// A daemon that connects and answers.
    pub fn start(&self, store: &Arc<CredentialStore>) -> Running {
        let (sender, client) = ControlClient::new(store.clone(), vec![self.address.clone()]);
        let stop = self.stop.child_token();
        let stopped = stop.clone();
        tokio::spawn(async move { client.run(&Plain, &stopped).await });
        Running { sender, stop }
    }

    pub async fn event(&mut self) -> DaemonEvent {
        let next = tokio::time::timeout(LIMIT, self.events.recv()).await;
        next.unwrap().unwrap()
    }

    pub async fn expect_connected(&mut self, who: Identity) {
        let event = self.event().await;
        assert_eq!(event.from, who);
        assert!(matches!(event.what, Happening::Connected(_)), "{event:?}");
    }

    pub async fn end(self) {
        self.stop.cancel();
        self.catalog.close().await;
    }
}

pub(super) struct Running {
    pub sender: ControlSender,
    pub stop: StopToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A Storage Daemon with one page, `page`, and no memory of runs.
struct Plain;

impl ControlHandler for Plain {
    fn hello(&self) -> Hello {
        Hello {
            addresses: vec!["vault:9313".into()],
            ..Hello::default()
        }
    }

    async fn welcome(&self, welcome: &Welcome) {
        assert_eq!((welcome.term, welcome.ticket_key.len()), (3, 32));
        assert_eq!(welcome.own_folders, [b"/own"]);
    }

    async fn receive(&self, envelope: Envelope) -> Answer {
        match envelope.body {
            Some(Body::SessionQuery(q)) => Answer::Now(Body::SessionState(SessionState {
                state: format!("run {}", q.job_id),
                ..SessionState::default()
            })),
            Some(Body::PageRequest(request)) => {
                let pages = paging::answer(&request);
                Answer::later(async move { Body::PageReply(PageReply { pages }) })
            }
            _ => Answer::done(),
        }
    }
}
