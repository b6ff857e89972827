//! The Director under test, its API client, and the scripted daemons.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::ids::{PageId, Role};
use common::net::control::{ControlClient, ControlHandler};
use common::net::conversation::{Answer, ControlSender};
use common::net::pki::CredentialStore;
use common::object::attribute::Stat;
use common::object::entry::{Entry, Kind};
use common::object::page::encode_leaf;
use common::object::snapshot::{Counts, Snapshot};
use common::protocol::control::{
    Body, Envelope, Hello, NoteOrder, PageReply, SessionEvent, SessionState, Welcome,
};
use common::protocol::enrol::Token;
use common::protocol::orders::{BackupOrder, LogLine, LogLines, RestoreOrder, RunEnd};
use common::protocol::ticket::{SignedTicket, Ticket};
use common::shutdown::StopToken;
use parking_lot::Mutex;
use prost::Message;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::catalog::Durability;

pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// What the client does with a backup order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// Stores everything and says so.
    Store,
    /// Says that it stored everything, and stored nothing.
    Lie,
    /// Is lost right after the commit.
    Vanish,
    /// Makes a checkpoint and goes on for ever.
    Hang,
    /// Makes a checkpoint and loses the storage; stores everything at the next try.
    Break,
}

/// What the scripted daemons hold.
#[derive(Debug)]
pub(super) struct World {
    pub script: Script,
    pub names: Vec<&'static str>,
    pub pages: HashMap<PageId, Bytes>,
    pub sessions: HashMap<u64, SessionState>,
    pub backups: Vec<BackupOrder>,
    pub restores: Vec<RestoreOrder>,
    pub notes: Vec<NoteOrder>,
    pub running: Vec<u64>,
}

impl World {
    /// Stores the root directory with the names of the moment.
    fn root(&mut self) -> PageId {
        let stat = Stat {
            mode: 0o644,
            ..Stat::default()
        };
        let entries: Vec<Entry> = self
            .names
            .iter()
            .map(|n| Entry {
                owner: "alice".into(),
                ..Entry::new(n.as_bytes().to_vec(), Kind::Fifo, stat)
            })
            .collect();
        let bytes = encode_leaf(&entries);
        let id = PageId::of(&bytes);
        self.pages.insert(id, bytes.into());
        id
    }

    /// The snapshot that the Storage Daemon would commit for a ticket.
    pub fn commit(&mut self, ticket: &Ticket) -> Vec<u8> {
        let snapshot = Snapshot {
            root: self.root().0.to_vec(),
            job_id: ticket.job_id,
            job: ticket.job.clone(),
            client_id: ticket.client_id.clone(),
            client: ticket.client.clone(),
            series: ticket.series.clone(),
            number: ticket.number,
            level: ticket.level.clone(),
            level_reason: ticket.level_reason.clone(),
            fileset: ticket.fileset.clone(),
            started_ms: ticket.started_ms,
            finished_ms: ticket.started_ms + 1,
            counts: Some(Counts {
                entries: 2,
                files: 2,
                protected_bytes: 10,
                ..Counts::default()
            }),
            base: ticket.base.clone(),
            pool: ticket.pool.clone(),
            volumes: vec!["data-000001".into()],
            keep_until_ms: ticket.keep_until_ms,
            ..Snapshot::default()
        };
        let bytes = snapshot.to_bytes();
        let state = SessionState {
            state: "committed".into(),
            checkpoint: Vec::new(),
            snapshot: bytes.clone(),
        };
        self.sessions.insert(ticket.job_id, state);
        bytes
    }
}

pub(super) fn ticket_of(order: &BackupOrder) -> Ticket {
    Ticket::decode(
        SignedTicket::from_bytes(&order.ticket)
            .unwrap()
            .ticket
            .as_slice(),
    )
    .unwrap()
}

/// A Director and its surroundings.
pub(super) struct Rig {
    pub folder: tempfile::TempDir,
    pub world: Arc<Mutex<World>>,
    pub address: String,
    /// Of the catalog.
    pub database: String,
    director: Option<(StopToken, tokio::task::JoinHandle<()>)>,
    pub storage: Option<Running>,
    pub client: Option<Running>,
    storage_store: Option<Arc<CredentialStore>>,
    client_store: Option<Arc<CredentialStore>>,
}

/// A connected scripted daemon.
pub(super) struct Running {
    pub sender: ControlSender,
    stop: StopToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    /// A Director alone.
    pub async fn alone() -> Self {
        common::telemetry::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let url = crate::catalog::testing::empty_database_url().await;
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let config = format!(
            "[director]\nlisten = [{address:?}]\nzone = \"UTC\"\nreconnect_limit = \"1s\"\n[catalog]\nurl = {url:?}\n"
        );
        std::fs::write(folder.path().join("director.toml"), config).unwrap();
        let world = World {
            script: Script::Store,
            names: vec!["a", "b"],
            pages: HashMap::new(),
            sessions: HashMap::new(),
            backups: Vec::new(),
            restores: Vec::new(),
            notes: Vec::new(),
            running: Vec::new(),
        };
        let mut rig = Self {
            folder,
            world: Arc::new(Mutex::new(world)),
            address,
            database: url,
            director: None,
            storage: None,
            client: None,
            storage_store: None,
            client_store: None,
        };
        rig.start_director().await;
        rig
    }

    /// A Director with a storage, a client, and a job `data` that saves `/data`.
    pub async fn whole() -> Self {
        let mut rig = Self::alone().await;
        rig.storage_store = Some(rig.enrol("/storages", Role::Storage).await);
        rig.client_store = Some(rig.enrol("/clients", Role::File).await);
        rig.start_storage();
        rig.start_client();
        let protect = json!({"dirs": ["/data"], "keep": "30d"});
        let made = rig.post("/protections", protect).await;
        assert_eq!(made["job"]["name"], "data", "{made}");
        rig
    }

    pub async fn start_director(&mut self) {
        let config: PathBuf = self.folder.path().join("director.toml");
        let stop = StopToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            super::super::run(&config, Durability::Scratch, &stopped)
                .await
                .unwrap();
        });
        self.director = Some((stop, task));
        let ready = async {
            while self.try_get("/ready").await.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, ready).await.unwrap();
    }

    pub async fn stop_director(&mut self) {
        let (stop, task) = self.director.take().unwrap();
        stop.cancel();
        let start = std::time::Instant::now();
        tokio::time::timeout(LIMIT, task).await.unwrap().unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "stopping took {:?}",
            start.elapsed()
        );
    }

    async fn enrol(&self, route: &str, role: Role) -> Arc<CredentialStore> {
        let made = self
            .post(route, json!({"name": "one", "local": true}))
            .await;
        let token = Token::from_text(made["token"].as_str().unwrap()).unwrap();
        let folder = self.folder.path().join(role.label());
        common::net::enrol::enrol(&token, role, &folder)
            .await
            .unwrap();
        CredentialStore::open(&folder).unwrap()
    }

    pub fn start_storage(&mut self) {
        let world = Arc::clone(&self.world);
        self.storage = Some(self.start(self.storage_store.clone().unwrap(), Vault { world }));
    }

    pub fn start_client(&mut self) {
        let (world, storage) = (
            Arc::clone(&self.world),
            self.storage.as_ref().unwrap().sender.clone(),
        );
        let (own, me) = watch::channel(None);
        let client = self.start(
            self.client_store.clone().unwrap(),
            Machine { world, storage, me },
        );
        own.send_replace(Some((client.sender.clone(), client.stop.clone())));
        self.client = Some(client);
    }

    fn start(&self, store: Arc<CredentialStore>, handler: impl ControlHandler) -> Running {
        let (sender, client) = ControlClient::new(store, vec![self.address.clone()]);
        let stop = StopToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { client.run(&handler, &stopped).await });
        Running { sender, stop }
    }

    fn http(&self) -> reqwest::Client {
        let root = std::fs::read(self.folder.path().join("root.pem")).unwrap_or_default();
        let root = reqwest::Certificate::from_pem(&root).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([root])
            .build()
            .unwrap()
    }

    pub fn url(&self, route: &str) -> String {
        format!("https://{}{}{route}", self.address, common::api::BASE)
    }

    pub fn token(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("admin.token")).unwrap();
        text.trim().to_owned()
    }

    async fn try_get(&self, route: &str) -> Option<Value> {
        if !self.folder.path().join("admin.toml").exists() {
            return None;
        }
        let sent = self
            .http()
            .get(self.url(route))
            .bearer_auth(self.token())
            .send()
            .await
            .ok()?;
        if sent.status().is_success() {
            sent.json().await.ok()
        } else {
            None
        }
    }

    pub async fn get(&self, route: &str) -> Value {
        let sent = self
            .http()
            .get(self.url(route))
            .bearer_auth(self.token())
            .send()
            .await
            .unwrap();
        let status = sent.status();
        let text = sent.text().await.unwrap();
        assert!(status.is_success(), "{route}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn post(&self, route: &str, body: Value) -> Value {
        let (status, answer) = self.try_post(route, body).await;
        assert!(status < 300, "{route}: {status} {answer}");
        answer
    }

    pub async fn try_post(&self, route: &str, body: Value) -> (u16, Value) {
        let sent = self
            .http()
            .post(self.url(route))
            .bearer_auth(self.token())
            .json(&body)
            .send()
            .await
            .unwrap();
        (sent.status().as_u16(), sent.json().await.unwrap())
    }

    pub async fn raw(&self, route: &str, token: &str) -> (u16, String, Value) {
        let sent = self
            .http()
            .get(self.url(route))
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        let kind = sent.headers()["content-type"].to_str().unwrap().to_owned();
        (sent.status().as_u16(), kind, sent.json().await.unwrap())
    }

    /// The text of an event stream, up to its end.
    pub async fn events(&self, route: &str) -> String {
        let stream = self
            .http()
            .get(self.url(route))
            .bearer_auth(self.token())
            .send();
        let text = async { stream.await.unwrap().text().await.unwrap() };
        tokio::time::timeout(LIMIT, text).await.unwrap()
    }

    /// Starts job `data`; its JobId.
    pub async fn start_run(&self) -> u64 {
        let started = self.post("/runs", json!({"job": "data"})).await;
        started["runs"][0]["job_id"].as_u64().unwrap()
    }

    /// Waits until a run satisfies a condition.
    pub async fn until(&self, job_id: u64, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let wait = async {
            loop {
                last = self.get(&format!("/runs/{job_id}")).await;
                if holds(&last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(LIMIT, wait).await.is_err() {
            panic!("run {job_id} is never {what}: {last}");
        }
        last
    }

    /// The client tells the end of a run, as often as it takes to be heard.
    pub async fn client_says(&self, job_id: u64, outcome: &str) {
        end(&self.client.as_ref().unwrap().sender, job_id, outcome).await;
    }

    /// Starts job `data` and waits until the client works on it; its JobId.
    pub async fn start_and_hang(&self) -> u64 {
        self.world.lock().script = Script::Hang;
        let id = self.start_run().await;
        let works = async {
            while self.world.lock().running.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, works).await.unwrap();
        id
    }

    /// Starts job `data` and waits until the catalog has the rows of its checkpoint; its JobId.
    pub async fn start_and_tell(&self) -> u64 {
        let id = self.start_and_hang().await;
        let told = async {
            while crate::catalog::testing::unpublished_rows(&self.database).await == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, told).await.unwrap();
        id
    }

    /// The client lost the storage: the session of a run ends at its checkpoint.
    pub fn break_session(&self, job_id: u64) {
        let mut world = self.world.lock();
        if let Some(session) = world.sessions.get_mut(&job_id) {
            session.state = "checkpoint".into();
        }
    }

    /// Names in the newest tree.
    pub async fn names(&self) -> Vec<String> {
        let listing = self.get("/browse?client=one").await;
        let entries = listing["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|e| e["name"].as_str().unwrap().to_owned())
            .collect()
    }

    pub async fn over(&self, job_id: u64) -> Value {
        self.until(job_id, "over", |run| !run["ended_at"].is_null())
            .await
    }
}

/// The scripted Storage Daemon.
struct Vault {
    world: Arc<Mutex<World>>,
}

impl ControlHandler for Vault {
    fn hello(&self) -> Hello {
        Hello {
            addresses: vec!["vault:9313".into()],
            ..Hello::default()
        }
    }

    async fn welcome(&self, _: &Welcome) {}

    async fn receive(&self, envelope: Envelope) -> Answer {
        let mut world = self.world.lock();
        match envelope.body {
            Some(Body::SessionQuery(query)) => {
                let none = SessionState {
                    state: "none".into(),
                    ..SessionState::default()
                };
                let state = world.sessions.get(&query.job_id).cloned().unwrap_or(none);
                Answer::Now(Body::SessionState(state))
            }
            Some(Body::PageRequest(request)) => {
                let page =
                    |id: &Vec<u8>| world.pages.get(&PageId::from_slice(id).unwrap()).cloned();
                let pages = request
                    .pages
                    .iter()
                    .map(|id| page(id).unwrap_or_default())
                    .collect();
                Answer::Now(Body::PageReply(PageReply { pages }))
            }
            Some(Body::Note(note)) => {
                world.notes.push(note);
                Answer::done()
            }
            _ => Answer::done(),
        }
    }
}

/// The scripted File Daemon.
struct Machine {
    world: Arc<Mutex<World>>,
    storage: ControlSender,
    me: watch::Receiver<Option<(ControlSender, StopToken)>>,
}

impl ControlHandler for Machine {
    fn hello(&self) -> Hello {
        let running = self.world.lock().running.clone();
        Hello {
            running,
            ..Hello::default()
        }
    }

    async fn welcome(&self, _: &Welcome) {}

    async fn receive(&self, envelope: Envelope) -> Answer {
        let (me, stop) = self.me.borrow().clone().unwrap();
        match envelope.body {
            Some(Body::Backup(order)) => {
                let (world, storage) = (Arc::clone(&self.world), self.storage.clone());
                tokio::spawn(backup(world, order, storage, (me, stop)));
                Answer::done()
            }
            Some(Body::Restore(order)) => {
                let job_id = order.job_id;
                self.world.lock().restores.push(order);
                tokio::spawn(async move { end(&me, job_id, "ok").await });
                Answer::done()
            }
            Some(Body::Cancel(order)) => {
                tokio::spawn(async move { end(&me, order.job_id, "canceled").await });
                Answer::done()
            }
            Some(Body::Browse(_)) => Answer::Now(Body::EstimateReply(Default::default())),
            _ => Answer::done(),
        }
    }
}

async fn end(me: &ControlSender, job_id: u64, outcome: &str) {
    let end = RunEnd {
        job_id,
        outcome: outcome.into(),
        counts: Some(Counts::default()),
        ..RunEnd::default()
    };
    let _ = me.request(Body::RunEnd(end), LIMIT).await;
}

async fn backup(
    world: Arc<Mutex<World>>,
    order: BackupOrder,
    storage: ControlSender,
    (me, stop): (ControlSender, StopToken),
) {
    let (ticket, job_id) = (ticket_of(&order), order.job_id);
    let event = |what: &str| SessionEvent {
        job_id,
        what: what.into(),
        ..SessionEvent::default()
    };
    let resumed = order.resume.is_some();
    let script = {
        let mut world = world.lock();
        world.backups.push(order);
        world.script
    };
    let line = LogLine {
        at_ms: 1,
        severity: 0,
        text: "scanning".into(),
    };
    let _ = me
        .send(Body::LogLines(LogLines {
            job_id,
            lines: vec![line],
        }))
        .await;
    let _ = storage.send(Body::Session(event("opened"))).await;
    match script {
        Script::Lie => end(&me, job_id, "ok").await,
        Script::Hang | Script::Break if !resumed => {
            let root = {
                let mut world = world.lock();
                let root = world.root();
                let state = if script == Script::Hang {
                    "open"
                } else {
                    "checkpoint"
                };
                let checkpoint = root.0.to_vec();
                world.running.push(job_id);
                let state = SessionState {
                    state: state.into(),
                    checkpoint,
                    ..SessionState::default()
                };
                world.sessions.insert(job_id, state);
                root
            };
            let checkpoint = SessionEvent {
                root: root.0.to_vec(),
                ..event("checkpoint")
            };
            let _ = storage.send(Body::Session(checkpoint)).await;
            if script == Script::Break {
                end(&me, job_id, "incomplete").await;
            }
        }
        _ => {
            let snapshot = world.lock().commit(&ticket);
            if script == Script::Vanish {
                stop.cancel();
            }
            let _ = storage
                .send(Body::Session(SessionEvent {
                    snapshot,
                    ..event("committed")
                }))
                .await;
            if script != Script::Vanish {
                end(&me, job_id, "ok").await;
            }
        }
    }
}
