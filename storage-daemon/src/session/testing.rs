//! A Storage Daemon on a free port with real TLS, and a client that speaks the data protocol, for tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::clock::now_ms;
use common::ids::{Identity, PageId, Role, Term};
use common::net::acceptor::{Acceptor, Purpose};
use common::net::connect::{Connection, connect};
use common::net::framed::Frame;
use common::net::pki::CredentialStore;
use common::net::testing::Installation;
use common::net::ticket::TicketKey;
use common::object::snapshot::{Counts, Snapshot};
use common::protocol::control::SessionEvent;
use common::protocol::data::{Ack, Answer, Ask, Commit, Load, Open, Opened, Receipt};
use common::protocol::fault::Fault;
use common::protocol::frame::{FrameType, MAJOR, alpn};
use common::protocol::orders::Selection;
use common::protocol::restore::{Delivery, Item, Items, Lost, OpenRestore, RestoreEnd, Window};
use common::protocol::ticket::Ticket;
use common::shutdown::StopToken;
use parking_lot::Mutex;
use prost::Message;
use tokio::time::timeout;

use super::authority::Authority;
use super::connection::Edge;
use super::registry::Sessions;
use crate::store::{Store, testing};

/// Longest wait for anything.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A running Storage Daemon's data side, and its Director's key.
pub struct Daemon {
    pub store: Arc<Store>,
    pub sessions: Arc<Sessions>,
    pub events: Arc<Mutex<Vec<SessionEvent>>>,
    pub installation: Installation,
    pub address: String,
    pub me: Identity,
    pub client: Arc<CredentialStore>,
    key: TicketKey,
    stop: StopToken,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts one in a scratch folder.
pub async fn start(folder: &Path) -> Daemon {
    start_with(testing::open(folder), folder, Duration::from_secs(30)).await
}

/// Starts one on this store.
pub async fn start_with(store: Arc<Store>, folder: &Path, linger: Duration) -> Daemon {
    let installation = Installation::new().unwrap();
    let credentials = installation.daemon(Role::Storage).unwrap();
    let client = installation.daemon(Role::File).unwrap();
    let me = credentials.current().identity;
    let key = TicketKey::generate().unwrap();
    let authority = Arc::new(Authority::open(&folder.join("state"), me).unwrap());
    authority.learn(Term(3), &key.public_key()).unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = events.clone();
    let sessions = Sessions::with_linger(
        store.clone(),
        Arc::new(move |e| heard.lock().push(e)),
        linger,
    );
    let edge = Edge::new(sessions.clone(), authority, credentials.clone());
    let acceptor = Acceptor::bind(&["127.0.0.1:0".to_owned()], &[Purpose::Data], credentials)
        .await
        .unwrap();
    let address = acceptor.addresses()[0].to_string();
    let stop = StopToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        acceptor
            .run(&token, move |accepted, _| {
                let edge = edge.clone();
                async move { edge.serve(accepted.into_connection().unwrap()).await }
            })
            .await;
    });
    Daemon {
        store,
        sessions,
        events,
        installation,
        address,
        me,
        client,
        key,
        stop,
    }
}

impl Daemon {
    /// A backup ticket for the daemon's client.
    pub fn ticket(&self, job_id: u64) -> Ticket {
        Ticket {
            what: "backup".into(),
            job_id,
            term: 3,
            client_id: self.client.current().identity.id.as_bytes().to_vec(),
            storage_id: self.me.id.as_bytes().to_vec(),
            expires_ms: now_ms() + 60_000,
            pool: "main".into(),
            series: vec![1; 16],
            number: job_id,
            job: "nightly".into(),
            client: "web01".into(),
            level: "full".into(),
            ..Ticket::default()
        }
    }

    pub fn sign(&self, ticket: &Ticket) -> Vec<u8> {
        self.key.sign(ticket)
    }

    pub async fn dial(&self) -> Connection {
        connect(
            std::slice::from_ref(&self.address),
            self.me,
            alpn::DATA,
            &self.client,
        )
        .await
        .unwrap()
    }

    /// Opens a backup connection.
    pub async fn open(&self, ticket: &Ticket, connection: u32) -> Client {
        let mut client = Client {
            connection: self.dial().await,
            sequence: 0,
            acked: 0,
            opened: Opened::default(),
        };
        let open = Open {
            major: MAJOR,
            minor: 0,
            ticket: self.sign(ticket),
            connection,
        };
        client
            .connection
            .writer
            .send_message(FrameType::Open, &open)
            .await
            .unwrap();
        let frame = client.read().await;
        assert_eq!(
            frame.frame_type(),
            Some(FrameType::Opened),
            "{:?}",
            frame.message::<Fault>()
        );
        client.opened = frame.message().unwrap();
        client
    }

    /// Stores a tree of one run from these files (`dir/name` at most) and returns its snapshot.
    pub async fn back_up(&self, ticket: &Ticket, files: &[(&str, &[u8])]) -> Snapshot {
        let mut client = self.open(ticket, 0).await;
        let root = client.send_tree(files).await;
        client.commit(root).await
    }

    /// Restores and collects everything.
    pub async fn restore(&self, root: PageId, selection: Selection, mode: &str) -> Restored {
        let ticket = Ticket {
            what: "restore".into(),
            roots: vec![root.0.to_vec()],
            ..self.ticket(900)
        };
        self.restore_with(&ticket, selection, mode).await.unwrap()
    }

    pub async fn restore_with(
        &self,
        ticket: &Ticket,
        selection: Selection,
        mode: &str,
    ) -> Result<Restored, Fault> {
        let mut c = self.dial().await;
        let open = OpenRestore {
            major: MAJOR,
            minor: 0,
            ticket: self.sign(ticket),
            selection: Some(selection),
            mode: mode.into(),
        };
        c.writer
            .send_message(FrameType::OpenRestore, &open)
            .await
            .unwrap();
        let mut restored = Restored::default();
        let mut paths: BTreeMap<u64, String> = BTreeMap::from([(0, String::new())]);
        loop {
            let frame = timeout(LIMIT, c.reader.read())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            match frame.frame_type().unwrap() {
                FrameType::Opened | FrameType::Ping => {}
                FrameType::Fault => return Err(frame.message().unwrap()),
                FrameType::Items => restored.items(&frame.body, &mut paths),
                FrameType::Delivery => restored.delivery(&frame, &paths),
                FrameType::ChunkNames => restored.chunk_names += 1,
                FrameType::Lost => {
                    let lost: Lost = frame.message().unwrap();
                    restored
                        .lost
                        .push((paths[&lost.number].clone(), lost.reason));
                }
                FrameType::WindowEnd => {
                    restored.windows += 1;
                    let window: Window = frame.message().unwrap();
                    c.writer
                        .send_message(FrameType::WindowDone, &window)
                        .await
                        .unwrap();
                }
                FrameType::RestoreEnd => {
                    restored.end = frame.message().unwrap();
                    return Ok(restored);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What a restore brought.
#[derive(Debug, Default)]
pub struct Restored {
    /// Path to content of what was selected.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Selected directories.
    pub directories: Vec<String>,
    /// Directories that only lead somewhere.
    pub implied: Vec<String>,
    pub lost: Vec<(String, String)>,
    pub windows: u64,
    pub deliveries: usize,
    pub chunk_names: usize,
    pub end: RestoreEnd,
    open: usize,
}

impl Restored {
    fn items(&mut self, body: &[u8], paths: &mut BTreeMap<u64, String>) {
        for item in Items::decode(body).unwrap().0 {
            let Item::Entry {
                number,
                parent,
                entry,
                implied,
            } = item
            else {
                self.open -= 1;
                continue;
            };
            let path = format!(
                "{}/{}",
                paths[&parent],
                String::from_utf8(entry.name.clone()).unwrap()
            );
            paths.insert(number, path.clone());
            if entry.kind == common::object::entry::Kind::Directory {
                self.open += 1;
                let list = if implied {
                    &mut self.implied
                } else {
                    &mut self.directories
                };
                list.push(path);
            } else {
                self.files
                    .insert(path, vec![0; entry.content_bytes() as usize]);
            }
        }
    }

    fn delivery(&mut self, frame: &Frame, paths: &BTreeMap<u64, String>) {
        self.deliveries += 1;
        let delivery = Delivery::decode(frame.body.clone()).unwrap();
        let mut plain = Vec::new();
        delivery.segment.open(&mut plain).unwrap();
        for p in delivery.placements {
            let slots = &delivery.segment.slots;
            let start: usize = slots[..p.slot as usize]
                .iter()
                .map(|s| s.len as usize)
                .sum();
            let chunk = &plain[start..start + slots[p.slot as usize].len as usize];
            let file = self.files.get_mut(&paths[&p.number]).unwrap();
            file[p.offset as usize..p.offset as usize + chunk.len()].copy_from_slice(chunk);
        }
    }

    /// Whether every directory that was sent was ended.
    pub fn is_balanced(&self) -> bool {
        self.open == 0
    }
}

/// A File Daemon's end of a backup connection.
pub struct Client {
    pub connection: Connection,
    pub sequence: u64,
    pub acked: u64,
    pub opened: Opened,
}

impl Client {
    pub async fn read(&mut self) -> Frame {
        loop {
            let frame = timeout(LIMIT, self.connection.reader.read())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            match frame.frame_type() {
                Some(FrameType::Ping) => {}
                Some(FrameType::Ack) => self.acked = Ack::decode(&frame.body).unwrap().sequence,
                _ => return frame,
            }
        }
    }

    pub async fn fault(&mut self) -> Fault {
        let frame = self.read().await;
        assert_eq!(frame.frame_type(), Some(FrameType::Fault));
        frame.message().unwrap()
    }

    pub async fn load(&mut self, frame_type: FrameType, pieces: &[&[u8]]) {
        self.sequence += 1;
        let load = Load {
            sequence: self.sequence,
            segment: testing::segment(pieces),
        };
        self.send_load(frame_type, &load).await;
    }

    pub async fn send_load(&mut self, frame_type: FrameType, load: &Load) {
        let writer = &mut self.connection.writer;
        writer
            .write(frame_type, 0, &[&load.encode_head(), &load.segment.payload])
            .await
            .unwrap();
        writer.flush().await.unwrap();
    }

    pub async fn ask(&mut self, ids: Vec<common::ids::ChunkId>) -> Answer {
        let ask = Ask { batch: 1, ids };
        self.connection
            .writer
            .write(FrameType::Ask, 0, &[&ask.encode()])
            .await
            .unwrap();
        self.connection.writer.flush().await.unwrap();
        let frame = self.read().await;
        assert_eq!(frame.frame_type(), Some(FrameType::Answer));
        Answer::decode(&frame.body).unwrap()
    }

    pub async fn message(&mut self, frame_type: FrameType, message: &impl Message) {
        self.connection
            .writer
            .send_message(frame_type, message)
            .await
            .unwrap();
    }

    /// Sends contents, then pages, children first.
    pub async fn send_tree(&mut self, files: &[(&str, &[u8])]) -> PageId {
        let mut tree: BTreeMap<&str, Vec<common::object::entry::Entry>> = BTreeMap::new();
        let mut top = Vec::new();
        for (path, content) in files {
            if !content.is_empty() {
                self.load(FrameType::Segment, &[content]).await;
            }
            match path.split_once('/') {
                Some((dir, name)) => tree
                    .entry(dir)
                    .or_default()
                    .push(testing::file(name, content)),
                None => top.push(testing::file(path, content)),
            }
        }
        for (dir, mut entries) in tree {
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            let (id, bytes) = testing::page(&entries);
            self.load(FrameType::Pages, &[&bytes]).await;
            top.push(testing::directory(dir, id));
        }
        top.sort_by(|a, b| a.name.cmp(&b.name));
        let (root, bytes) = testing::page(&top);
        self.load(FrameType::Pages, &[&bytes]).await;
        root
    }

    pub async fn commit(&mut self, root: PageId) -> Snapshot {
        let commit = Commit {
            root: root.0.to_vec(),
            counts: Some(Counts::default()),
            ..Commit::default()
        };
        self.message(FrameType::Commit, &commit).await;
        let frame = self.read().await;
        assert_eq!(
            frame.frame_type(),
            Some(FrameType::Receipt),
            "{:?}",
            frame.message::<Fault>()
        );
        Snapshot::from_bytes(&frame.message::<Receipt>().unwrap().snapshot).unwrap()
    }
}

/// Waits until something is true.
pub async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"));
}
