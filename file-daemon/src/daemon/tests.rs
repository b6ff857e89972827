//! The whole daemon over real TLS: a Director that orders and listens, a storage that answers, files on disk.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::ids::Role;
use common::net::acceptor::{Accepted, Acceptor, Purpose};
use common::net::connect::Connection;
use common::net::framed::FrameWriter;
use common::net::pki::CredentialStore;
use common::net::testing::Installation;
use common::protocol::control::{Body, Done, Envelope, Welcome};
use common::protocol::data::{
    Ack, Ask, Checkpoint, Checkpointed, Commit, Load, Open, Opened, Receipt,
};
use common::protocol::fault::Fault;
use common::protocol::frame::{FrameType, MAJOR, MINOR};
use common::protocol::orders::{
    BackupOrder, CancelOrder, EstimateOrder, LogLine, RunEnd, StorageTarget,
};
use common::shutdown::{StopToken, Tasks};
use tokio::sync::mpsc;

use super::service::Service;
use crate::backup::tests_memory::{Client, Memory};
use crate::config::Config;
use crate::sink::port::Storage;

/// What a Director heard.
#[derive(Default)]
struct Heard {
    lines: Vec<LogLine>,
    progress: usize,
    answers: Vec<Body>,
}

/// A Director for one connection: says its orders in turn, answers RunEnd, and gives back all it heard.
struct Director {
    connection: Connection,
    heard: Heard,
    last: u64,
}

impl Director {
    async fn meet(accepted: Accepted) -> Self {
        let mut connection = accepted.into_connection().unwrap();
        let hello: Envelope = connection
            .reader
            .expect(FrameType::Control, "Hello")
            .await
            .unwrap();
        assert!(matches!(hello.body, Some(Body::Hello(_))));
        let welcome = Welcome {
            major: MAJOR,
            minor: MINOR,
            term: 5,
            heartbeat_ms: 2000,
            ..Welcome::default()
        };
        let mut director = Self {
            connection,
            heard: Heard::default(),
            last: 0,
        };
        director.say(0, 0, Body::Welcome(welcome)).await;
        director
    }

    async fn say(&mut self, request: u64, reply_to: u64, body: Body) {
        let envelope = Envelope {
            request,
            reply_to,
            body: Some(body),
        };
        let writer = &mut self.connection.writer;
        writer
            .send_message(FrameType::Control, &envelope)
            .await
            .unwrap();
    }

    /// Says an order and waits for its answer.
    async fn order(&mut self, body: Body) -> Body {
        self.last += 1;
        let request = self.last;
        self.say(request, 0, body).await;
        loop {
            let envelope = self.hear().await;
            if envelope.reply_to == request {
                return envelope.body.unwrap();
            }
        }
    }

    /// Waits for the end of a run.
    async fn end(&mut self) -> RunEnd {
        loop {
            if let Some(Body::RunEnd(end)) = self.hear().await.body {
                return end;
            }
        }
    }

    async fn hear(&mut self) -> Envelope {
        loop {
            let frame = self.connection.reader.read().await.unwrap().unwrap();
            if frame.frame_type() != Some(FrameType::Control) {
                continue;
            }
            let envelope: Envelope = frame.message().unwrap();
            match &envelope.body {
                Some(Body::LogLines(lines)) => self.heard.lines.extend(lines.lines.clone()),
                Some(Body::Progress(_)) => self.heard.progress += 1,
                Some(Body::RunEnd(_)) => self.say(0, envelope.request, Body::Done(Done {})).await,
                Some(other) if envelope.reply_to == 0 => self.heard.answers.push(other.clone()),
                _ => {}
            }
            return envelope;
        }
    }
}

/// A data connection's other side, over a storage in memory.
async fn store(accepted: Accepted, memory: Arc<Memory>, silent: Arc<AtomicBool>) {
    let Connection {
        mut reader,
        mut writer,
        ..
    } = accepted.into_connection().unwrap();
    let open: Open = reader.expect(FrameType::Open, "Open").await.unwrap();
    assert_eq!(open.ticket, b"ticket");
    let opened = Opened {
        session: 1,
        window_bytes: 1 << 20,
        base_present: true,
        resume_present: true,
    };
    writer
        .send_message(FrameType::Opened, &opened)
        .await
        .unwrap();
    while let Ok(Some(frame)) = reader.read().await {
        if silent.load(SeqCst) {
            continue;
        }
        serve_frame(&frame, &memory, &mut writer).await;
    }
}

async fn serve_frame(
    frame: &common::net::framed::Frame,
    memory: &Memory,
    writer: &mut FrameWriter,
) {
    let body = &frame.body;
    match frame.frame_type().unwrap() {
        FrameType::Ask => {
            let ask = Ask::decode(body).unwrap();
            let answer = memory.ask(ask.ids).unwrap().recv().unwrap();
            writer
                .write(FrameType::Answer, 0, &[&answer.encode()])
                .await
                .unwrap();
        }
        kind @ (FrameType::Segment | FrameType::Pages) => {
            let load = Load::decode(body.clone()).unwrap();
            match kind {
                FrameType::Segment => memory.send_segment(load.segment).unwrap(),
                _ => memory.send_pages(load.segment).unwrap(),
            }
            let ack = Ack {
                sequence: load.sequence,
                stored_bytes: memory.figures().stored_bytes,
            };
            writer
                .write(FrameType::Ack, 0, &[&ack.encode()])
                .await
                .unwrap();
        }
        FrameType::Checkpoint => {
            frame.message::<Checkpoint>().unwrap();
            writer
                .send_message(FrameType::Checkpointed, &Checkpointed {})
                .await
                .unwrap();
        }
        FrameType::Commit => {
            let commit: Commit = frame.message().unwrap();
            let snapshot = memory.commit(commit).unwrap();
            writer
                .send_message(FrameType::Receipt, &Receipt { snapshot })
                .await
                .unwrap();
        }
        FrameType::Ping => {}
        other => panic!("frame {other:?}"),
    }
    writer.flush().await.unwrap();
}

/// A running daemon, its Director, its storage.
struct Stage {
    director: Director,
    memory: Arc<Memory>,
    silent: Arc<AtomicBool>,
    order: BackupOrder,
    stop: StopToken,
    client: Client,
}

async fn listen<F>(
    store: Arc<CredentialStore>,
    purposes: &'static [Purpose],
    stop: &StopToken,
    each: F,
) -> String
where
    F: Fn(Accepted) + Clone + Send + Sync + 'static,
{
    let acceptor = Acceptor::bind(&["127.0.0.1:0".to_owned()], purposes, store)
        .await
        .unwrap();
    let address = acceptor.addresses()[0].to_string();
    let stop = stop.clone();
    tokio::spawn(async move {
        acceptor
            .run(&stop, move |accepted, _| {
                each(accepted);
                std::future::ready(())
            })
            .await;
    });
    address
}

async fn stage() -> Stage {
    let installation = Installation::new().unwrap();
    let stop = StopToken::new();
    let memory = Arc::new(Memory::default());
    let silent = Arc::new(AtomicBool::new(false));
    let storage = installation.daemon(Role::Storage).unwrap();
    let storage_id = storage.current().identity.id;
    let (for_store, for_silent) = (Arc::clone(&memory), Arc::clone(&silent));
    let data = listen(storage, &[Purpose::Data], &stop, move |accepted| {
        tokio::spawn(store(
            accepted,
            Arc::clone(&for_store),
            Arc::clone(&for_silent),
        ));
    })
    .await;
    let (met, mut directors) = mpsc::unbounded_channel();
    let control = installation.director_store().unwrap();
    let address = listen(control, &[Purpose::Control], &stop, move |accepted| {
        met.send(accepted).unwrap();
    })
    .await;
    let client = Client::new();
    let config = Config {
        name: "web01".into(),
        director: vec![address],
        permit_backup: vec![client.key("")],
        permit_restore: vec![b"/".to_vec()],
        permit_commands: Some(vec![]),
        folder: client.folder.path().to_owned(),
    };
    let daemon = installation.daemon(Role::File).unwrap();
    let (sender, control) =
        common::net::control::ControlClient::new(Arc::clone(&daemon), config.director.clone());
    let service = Service::new(config, daemon, sender, Tasks::child_of(&stop));
    let for_client = stop.clone();
    tokio::spawn(async move { control.run(&service, &for_client).await });
    let director = Director::meet(directors.recv().await.unwrap()).await;
    let order = BackupOrder {
        job_id: 17,
        term: 5,
        level: "full".into(),
        fileset: Some(client.fileset.clone()),
        storage: Some(StorageTarget {
            id: storage_id.as_bytes().to_vec(),
            name: "vault1".into(),
            addresses: vec![data],
        }),
        ticket: b"ticket".to_vec(),
        series: vec![9; 16],
        ..BackupOrder::default()
    };
    Stage {
        director,
        memory,
        silent,
        order,
        stop,
        client,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .unwrap()
}

#[test]
fn a_backup_by_order_is_saved_and_told() {
    runtime().block_on(within(async {
        let mut stage = stage().await;
        for n in 0..50u8 {
            std::fs::write(stage.client.path(&format!("f{n}")), vec![n; 100_000]).unwrap();
        }
        std::fs::write(stage.client.path("b\nad"), b"x").unwrap();
        let answer = stage
            .director
            .order(Body::Backup(stage.order.clone()))
            .await;
        assert!(matches!(answer, Body::Done(_)), "{answer:?}");
        let end = stage.director.end().await;
        assert_eq!(
            (end.outcome.as_str(), end.fault),
            ("ok", None),
            "{:?}",
            stage.director.heard.lines
        );
        let counts = end.counts.unwrap();
        assert_eq!((counts.files, counts.protected_bytes), (51, 5_000_001));
        assert!(counts.stored_bytes > 0 && end.snapshot.len() == 32);
        assert!(stage.director.heard.progress > 0);
        let snapshots = stage.memory.pages.lock().len();
        assert!(snapshots > 0);
        stage.stop.cancel();
    }));
}

#[test]
fn what_the_client_forbids_and_stale_orders_are_refused() {
    runtime().block_on(within(async {
        let mut stage = stage().await;
        let fault = |body: Body| match body {
            Body::Fault(Fault { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        let mut order = stage.order.clone();
        order.fileset.as_mut().unwrap().includes[0].path = b"/etc".to_vec();
        assert_eq!(
            fault(stage.director.order(Body::Backup(order)).await),
            "refused"
        );
        let mut order = stage.order.clone();
        order
            .fileset
            .as_mut()
            .unwrap()
            .commands
            .push(common::fileset::Command {
                path: b"/x".to_vec(),
                read: vec!["sh".into()],
                write: vec![],
            });
        assert_eq!(
            fault(stage.director.order(Body::Backup(order)).await),
            "refused"
        );
        let order = BackupOrder {
            term: 4,
            ..stage.order.clone()
        };
        assert_eq!(
            fault(stage.director.order(Body::Backup(order)).await),
            "ticket"
        );
        let cancel = CancelOrder {
            job_id: 99,
            reason: "test".into(),
        };
        assert_eq!(
            fault(stage.director.order(Body::Cancel(cancel)).await),
            "not-found"
        );
        stage.stop.cancel();
    }));
}

#[test]
fn a_run_whose_storage_is_silent_is_canceled_in_time() {
    runtime().block_on(within(async {
        let mut stage = stage().await;
        std::fs::write(stage.client.path("file"), b"content").unwrap();
        stage.silent.store(true, SeqCst);
        stage
            .director
            .order(Body::Backup(stage.order.clone()))
            .await;
        let cancel = CancelOrder {
            job_id: 17,
            reason: "by test".into(),
        };
        let start = Instant::now();
        stage.director.order(Body::Cancel(cancel)).await;
        let end = stage.director.end().await;
        assert_eq!(end.outcome, "canceled");
        assert!(start.elapsed() < Duration::from_secs(10));
        stage.stop.cancel();
    }));
}

#[test]
fn a_storage_out_of_reach_leaves_an_incomplete_run_with_the_reason() {
    runtime().block_on(within(async {
        let mut stage = stage().await;
        let mut order = stage.order.clone();
        order.storage.as_mut().unwrap().addresses = vec!["127.0.0.1:1".into()];
        stage.director.order(Body::Backup(order)).await;
        let end = stage.director.end().await;
        assert_eq!(end.outcome, "incomplete");
        let fault = end.fault.unwrap();
        assert!(
            fault.retry && fault.text.contains("127.0.0.1:1"),
            "{fault:?}"
        );
        stage.stop.cancel();
    }));
}

#[test]
fn an_estimate_counts_what_a_backup_would_save() {
    runtime().block_on(within(async {
        let mut stage = stage().await;
        std::fs::create_dir(stage.client.path("d")).unwrap();
        std::fs::write(stage.client.path("d/file"), b"content").unwrap();
        let order = EstimateOrder {
            fileset: stage.order.fileset.clone(),
            list: 100,
            own_folders: vec![],
        };
        let Body::EstimateReply(reply) = stage.director.order(Body::Estimate(order)).await else {
            panic!("an estimate")
        };
        let counts = reply.counts.unwrap();
        assert_eq!((counts.files, counts.protected_bytes), (1, 7));
        assert_eq!(reply.paths.last().unwrap(), &stage.client.key("d/file"));
        stage.stop.cancel();
    }));
}
