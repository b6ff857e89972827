//! Those who have no business here: wrong tokens, wrong certificates, wrong protocols, other clients' data. All refused,
//! nobody else disturbed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::ids::{Identity, Role};
use common::net::framed::FrameError;
use common::net::pki::{CredentialParts, CredentialStore, Credentials, PendingKey};
use common::net::ticket::TicketKey;
use common::net::{connect, testing};
use common::protocol::data::{Open, Opened};
use common::protocol::enrol::Token;
use common::protocol::frame::{FrameType, MAJOR, MINOR, alpn};
use common::protocol::restore::OpenRestore;
use common::protocol::ticket::Ticket;
use tests::args;
use tests::compare::assert_same;
use tests::console::Reply;
use tests::installation::{Installation, job_id, restored};
use tests::seed::Seed;
use tests::wait::until_true;

use crate::shared;

/// Joins with a token in a folder of its own.
fn join(holdfast: &Installation, folder: &str, token: &str) -> Reply {
    let machine = holdfast.machine(folder);
    let reply = machine.join(token);
    if reply.code != 0 {
        assert!(
            !machine.root.join("client/pki/key.pem").exists(),
            "nothing stays of a refused machine"
        );
    }
    reply
}

fn new_token(holdfast: &Installation, name: &str) -> String {
    let added = holdfast
        .console()
        .json(["client", "add", name, "--local", "--no-wait"]);
    added["token"]
        .as_str()
        .unwrap_or_else(|| panic!("{added}"))
        .to_owned()
}

#[test]
fn a_token_works_once_and_a_wrong_one_never() {
    let holdfast = Installation::start();
    let token = new_token(&holdfast, "guest");
    let mut wrong = Token::from_text(&token).unwrap();
    wrong.secret[0] ^= 1;
    let before = holdfast.news().len();
    let _ = join(&holdfast, "wrong", &wrong.to_text())
        .expect_code(2)
        .expect_text("token");
    let _ = before;
    let told: Vec<String> = holdfast
        .news()
        .into_iter()
        .filter(|line| line.starts_with("director") && line.contains("token"))
        .collect();
    assert_eq!(told.len(), 1, "one line about a refused token: {told:?}");
    let _ = join(&holdfast, "garbage", "hf1-garbage").expect_code(2);
    let _ = join(&holdfast, "guest", &token).expect_code(0);
    let _ = join(&holdfast, "thief", &token).expect_code(2);
    let clients = holdfast.console().json(["client", "list"]).to_string();
    assert!(
        clients.contains("guest") && !clients.contains("thief"),
        "{clients}"
    );
    holdfast.check_logs(&["token"]);
}

#[test]
fn an_expired_token_is_refused() {
    let holdfast = Installation::start();
    let token = new_token(&holdfast, "late");
    holdfast
        .age("UPDATE enrol_token SET expires_at = now() - interval '1 second' WHERE name = 'late'");
    let _ = join(&holdfast, "late", &token)
        .expect_code(2)
        .expect_text("token");
    holdfast.check_logs(&["token"]);
}

#[test]
fn a_token_of_another_installation_is_refused() {
    let (one, two) = (Installation::start(), Installation::start());
    let token = new_token(&two, "guest");
    let mut crossed = Token::from_text(&token).unwrap();
    crossed.addresses = vec![one.director_address().to_string()];
    let _ = join(&one, "crossed", &crossed.to_text()).expect_code(2);
    one.check_logs(&["TLS", "handshake", "token"]);
}

/// Says these bytes to a port; true when the other side ends the connection in time.
fn is_shown_the_door(address: SocketAddr, bytes: &[u8], limit: Duration) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(limit)).unwrap();
    let _ = stream.write_all(bytes);
    let start = Instant::now();
    let mut answer = [0; 512];
    loop {
        match stream.read(&mut answer) {
            Ok(0) => return true,
            Ok(_) if start.elapsed() < limit => {}
            Ok(_) => return false,
            Err(e) => return e.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn plain_text_and_random_bytes_are_shown_the_door_with_one_line_each() {
    let holdfast = Installation::start();
    let source = holdfast.scratch("undisturbed");
    std::fs::write(source.join("x"), "x").unwrap();
    holdfast.job_over("undisturbed", &source);
    holdfast.check_logs(&[]);
    let mut seed = Seed::of_run(1);
    for (address, log) in [
        (holdfast.director_address(), "director"),
        (holdfast.storage_address(), "storage"),
    ] {
        let noises = [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            seed.bytes(5000),
            b"\x16\x03\x01".to_vec(),
            vec![0; 70_000],
        ];
        let count = noises.len();
        for noise in noises {
            assert!(
                is_shown_the_door(address, &noise, Duration::from_secs(15)),
                "{log}: {} bytes",
                noise.len()
            );
        }
        // The door shuts before the line is written.
        let loud = |l: &String| {
            let level = l.contains(" WARN ") || l.contains(" INFO ");
            level && l.starts_with(log) && l.contains("127.0.0.1:")
        };
        let mut lines: Vec<String> = Vec::new();
        until_true("each stranger has its line", Duration::from_secs(5), || {
            lines.extend(holdfast.news().into_iter().filter(loud));
            lines.len() >= count
        });
        assert_eq!(lines.len(), count, "one line for each: {lines:?}");
        // Somebody who says nothing at all.
        assert!(
            is_shown_the_door(address, b"", Duration::from_secs(20)),
            "{log}: silence"
        );
    }
    holdfast.backup("undisturbed", 0);
    assert!(holdfast.console().run(["status"]).code < 2);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn credentials(folder: &Path) -> Arc<CredentialStore> {
    common::telemetry::install_crypto_provider();
    CredentialStore::open(folder).unwrap()
}

/// Who is dialled, and where.
struct Target {
    peer: Identity,
    address: SocketAddr,
}

impl Target {
    fn storage(holdfast: &Installation) -> Self {
        Self {
            peer: credentials(&holdfast.root().join("storage/pki"))
                .current()
                .identity,
            address: holdfast.storage_address(),
        }
    }

    fn director(holdfast: &Installation) -> Self {
        Self {
            peer: credentials(&holdfast.root().join("client/pki"))
                .current()
                .director,
            address: holdfast.director_address(),
        }
    }

    /// Opens a connection and says `first`; whether the peer goes on instead of refusing.
    fn talks<M: prost::Message>(
        &self,
        me: &CredentialStore,
        alpn: &'static [u8],
        first: &(FrameType, M),
    ) -> Result<Opened, String> {
        runtime().block_on(async {
            let addresses = [self.address.to_string()];
            let mut connection = connect::connect(&addresses, self.peer, alpn, me)
                .await
                .map_err(|e| e.to_string())?;
            connection
                .writer
                .send_message(first.0, &first.1)
                .await
                .map_err(|e| e.to_string())?;
            match connection
                .reader
                .expect::<Opened>(FrameType::Opened, "Opened")
                .await
            {
                Ok(opened) => Ok(opened),
                Err(FrameError::Fault(fault)) => Err(format!("{}: {}", fault.code, fault.text)),
                Err(e) => Err(e.to_string()),
            }
        })
    }
}

fn open(ticket: Vec<u8>) -> (FrameType, Open) {
    let open = Open {
        major: MAJOR,
        minor: MINOR,
        ticket,
        connection: 0,
    };
    (FrameType::Open, open)
}

fn open_restore(ticket: Vec<u8>) -> (FrameType, OpenRestore) {
    let open = OpenRestore {
        major: MAJOR,
        minor: MINOR,
        ticket,
        selection: None,
        mode: "content".to_owned(),
    };
    (FrameType::OpenRestore, open)
}

#[test]
fn certificates_of_another_installation_or_role_are_refused() {
    let holdfast = shared::installation();
    let ours = credentials(&holdfast.root().join("client/pki")).current();
    let foreign = testing::Installation::new().unwrap();
    let stranger = |role| {
        let key = PendingKey::generate().unwrap();
        let identity = Identity {
            role,
            id: uuid::Uuid::new_v4(),
        };
        let validity = common::net::issuer::Validity::of(common::clock::now_ms(), 86_400_000);
        let leaf = foreign
            .issuing()
            .issue(&key.request().unwrap(), identity, validity)
            .unwrap();
        let parts = CredentialParts {
            name: "stranger".to_owned(),
            director: ours.director.dns_name(),
            root: ours.root.clone(),
            chain: vec![leaf, foreign.issuing().certificate.clone()],
            key: key.into_private_key(),
        };
        CredentialStore::in_memory(Credentials::new(parts).unwrap())
    };
    for role in [Role::File, Role::Storage, Role::Director] {
        let me = stranger(role);
        for (target, alpn) in [
            (Target::storage(&holdfast), alpn::DATA),
            (Target::director(&holdfast), alpn::CONTROL),
        ] {
            let refused = target.talks(&me, alpn, &open(Vec::new()));
            assert!(
                refused.is_err(),
                "{role:?} of another installation at {:?}: {refused:?}",
                target.peer.role
            );
        }
    }
    // A Storage Daemon's certificate where a File Daemon's belongs.
    let storage = credentials(&holdfast.root().join("storage/pki"));
    let refused = Target::storage(&holdfast).talks(&storage, alpn::DATA, &open(Vec::new()));
    assert!(refused.is_err(), "{refused:?}");
    assert!(holdfast.console().run(["status"]).code < 2);
}

#[test]
fn another_clients_run_and_tree_are_refused_to_a_valid_client() {
    let holdfast = Installation::start();
    let source = holdfast.scratch("mine");
    std::fs::write(source.join("secret"), "of one client only").unwrap();
    holdfast.job_over("mine", &source);
    let run = holdfast.backup("mine", 0);
    let other = holdfast.client("other");
    let mine = credentials(&holdfast.root().join("client/pki"));
    let theirs = credentials(&other.root.join("client/pki"));
    let key = TicketKey::load(&holdfast.root().join("director/pki/ticket.key")).unwrap();
    let target = Target::storage(&holdfast);
    let backup = |signed: Vec<u8>| target.talks(&theirs, alpn::DATA, &open(signed));
    let restore = |signed: Vec<u8>| target.talks(&theirs, alpn::DATA, &open_restore(signed));
    let ticket = |what: &str, client: &CredentialStore| Ticket {
        what: what.to_owned(),
        job_id: job_id(&run) + 100,
        client_id: client.current().identity.id.as_bytes().to_vec(),
        storage_id: target.peer.id.as_bytes().to_vec(),
        expires_ms: common::clock::now_ms() + 60_000,
        pool: "main".to_owned(),
        series: vec![7; 16],
        number: 1,
        roots: vec![vec![9; 32]],
        ..Ticket::default()
    };
    // First the proof that a good ticket of this make is taken, at the Director's term.
    let taken = |term: &u64| {
        let ticket = Ticket {
            term: *term,
            roots: Vec::new(),
            ..ticket("backup", &theirs)
        };
        backup(key.sign(&ticket)).is_ok()
    };
    let term = (1..50).find(taken).expect("a good ticket is taken");
    let ticket = |what: &str, client: &CredentialStore| Ticket {
        term,
        ..ticket(what, client)
    };
    let refused = [
        (
            "signed for another client",
            backup(key.sign(&ticket("backup", &mine))),
        ),
        (
            "a restore for another client",
            restore(key.sign(&ticket("restore", &mine))),
        ),
        (
            "not signed by this Director",
            backup(
                TicketKey::generate()
                    .unwrap()
                    .sign(&ticket("backup", &theirs)),
            ),
        ),
        (
            "a backup used for a restore",
            restore(key.sign(&ticket("backup", &theirs))),
        ),
        (
            "a restore used for a backup",
            backup(key.sign(&ticket("restore", &theirs))),
        ),
        (
            "over",
            backup(key.sign(&Ticket {
                expires_ms: 1000,
                ..ticket("backup", &theirs)
            })),
        ),
        (
            "for another storage",
            backup(key.sign(&Ticket {
                storage_id: vec![1; 16],
                ..ticket("backup", &theirs)
            })),
        ),
        (
            "a tree that was never stored",
            restore(key.sign(&ticket("restore", &theirs))),
        ),
        ("no ticket", backup(Vec::new())),
    ];
    for (why, answer) in refused {
        assert!(answer.is_err(), "{why}: {answer:?}");
    }
    let to = holdfast.absent("mine");
    holdfast.restore("mine", &to);
    assert_same(&source, &restored(&to, &source));
}

#[test]
fn a_revoked_client_is_cut_off_at_once_and_stays_out() {
    let holdfast = Installation::start();
    let other = holdfast.client("leaver");
    let connected = |name: &str| {
        let clients = holdfast.console().json(["client", "list"]);
        let list = clients["items"]
            .as_array()
            .or_else(|| clients.as_array())
            .cloned()
            .unwrap_or_default();
        list.iter()
            .any(|c| c["name"] == name && c["connected"] == true)
    };
    tests::wait::until_true("it is connected", Duration::from_secs(20), || {
        connected("leaver")
    });
    let _ = holdfast
        .console()
        .ok(["client", "revoke", "leaver", "--reason", "stolen"]);
    tests::wait::until_true("it is cut off", Duration::from_secs(10), || {
        !connected("leaver")
    });
    assert!(
        tests::wait::never(Duration::from_secs(4), || connected("leaver")),
        "it stays out"
    );
    let _ = other.console.run(["down"]);
    let me = credentials(&other.root.join("client/pki"));
    let refused = Target::storage(&holdfast).talks(&me, alpn::DATA, &open(Vec::new()));
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn a_wrong_api_token_is_refused() {
    let holdfast = shared::installation();
    let copy = holdfast.scratch("wrong-token");
    for file in ["console.toml", "director/admin.toml"] {
        let Ok(text) = std::fs::read_to_string(holdfast.root().join(file)) else {
            continue;
        };
        let changed: String = text
            .lines()
            .map(|line| {
                if line.starts_with("token = ") {
                    "token = \"hfk-wrong\"\n".to_owned()
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        let changed = changed.replace(
            "root = \"",
            &format!("root = \"{}/", holdfast.root().display()),
        );
        std::fs::write(copy.join("console.toml"), changed).unwrap();
        std::fs::set_permissions(
            copy.join("console.toml"),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
        break;
    }
    let reply = tests::console::Console::new(&copy)
        .run(args!["runs"])
        .expect_code(2);
    assert!(!reply.says("job_id"), "{reply}");
}
