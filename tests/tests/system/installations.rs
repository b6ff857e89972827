//! Several installations on one machine, an own PostgreSQL, starting twice, and what is open to others.

use std::time::Duration;

use tests::binaries::Program;
use tests::compare::assert_same;
use tests::installation::{Daemon, Installation, restored, run_daemon};
use tests::postgres::Postgres;
use tests::seed::Seed;
use tests::wait;

use crate::shared;

/// Backs up and restores a small tree.
fn works(holdfast: &Installation, name: &str) {
    let source = holdfast.scratch(name);
    std::fs::write(source.join("file"), Seed::new(1).fork(name).bytes(50_000)).unwrap();
    holdfast.job_over(name, &source);
    holdfast.backup(name, 0);
    let to = holdfast.absent(name);
    holdfast.restore(name, &to);
    assert_same(&source, &restored(&to, &source));
}

#[test]
fn two_installations_beside_each_other_know_nothing_of_each_other() {
    let (one, two) = (Installation::start(), Installation::start());
    works(&one, "first");
    works(&two, "second");
    assert!(!two.console().ok(["runs"]).says("first"));
    // The console of one with the Director of the other: the certificate is another installation's.
    let address = two.director_address().to_string();
    let _ = one
        .console()
        .run(["status", "--director", &address])
        .expect_code(2);
    one.check_logs(&[]);
}

#[test]
fn an_own_postgresql_works_the_same_and_survives_its_crash() {
    let mut postgres = Postgres::start();
    let holdfast = Installation::folder_only();
    let folder = holdfast.root().join("director");
    std::fs::create_dir(&folder).unwrap();
    let (director, host) = (holdfast.director_address(), hostname());
    let text = format!(
        "[director]\nlisten = [\"{director}\"]\naddresses = [\"{director}\"]\n\n[catalog]\nurl = \"{}\"\n\n\
         [storage.local]\n[pool.main]\nstorage = \"local\"\n[client.{host}]\n",
        postgres.url()
    );
    std::fs::write(folder.join("director.toml"), text).unwrap();
    holdfast.up();
    assert!(
        !folder.join("pg").exists(),
        "no private PostgreSQL beside an own one"
    );
    assert_eq!(
        holdfast.console().json(["status"])["catalog"]["kind"],
        "external"
    );
    works(&holdfast, "own-postgres");

    postgres.kill();
    postgres.resume();
    wait::until_true(
        "the Director is back in touch with it",
        Duration::from_secs(30),
        || holdfast.console().run(["status"]).code < 2,
    );
    works(&holdfast, "after-its-crash");
    holdfast.check_logs(&[" WARN ", " ERROR "]);
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim().split('.').next().unwrap().to_owned()
}

#[test]
fn up_again_starts_only_what_does_not_run() {
    let holdfast = Installation::start();
    let pids = || {
        [
            Daemon::Director,
            Daemon::Storage,
            Daemon::Client,
            Daemon::Postgres,
        ]
        .map(|d| holdfast.pid(d))
    };
    let before = pids();
    holdfast.up();
    assert_eq!(before, pids());
    holdfast.kill(Daemon::Storage);
    holdfast.up();
    let after = pids();
    assert_eq!(
        (before[0], before[2], before[3]),
        (after[0], after[2], after[3])
    );
    assert_ne!(before[1], after[1]);
}

#[test]
fn a_second_daemon_in_the_same_folder_is_refused() {
    let holdfast = shared::installation();
    for (program, config) in [
        (Program::Director, "director/director.toml"),
        (Program::Storage, "storage/storage.toml"),
        (Program::Client, "client/client.toml"),
    ] {
        let path = holdfast.root().join(config);
        let reply = run_daemon(
            program,
            &["--config", path.to_str().unwrap()],
            Duration::from_secs(20),
        );
        assert_ne!(reply.code, 0, "{reply}");
        let folder = path.parent().unwrap().to_str().unwrap();
        assert!(reply.says(folder) || reply.says("already"), "{reply}");
    }
    assert!(holdfast.console().run(["status"]).code < 2);
}

#[test]
fn nothing_listens_beyond_loopback() {
    let holdfast = shared::installation();
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let ports = [
        holdfast.director_address().port(),
        holdfast.storage_address().port(),
    ];
    let mut seen = 0;
    for line in tables.iter().flat_map(|table| table.lines()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(local), Some(&"0A")) = (fields.get(1), fields.get(3)) else {
            continue;
        };
        let (address, port) = local.split_once(':').unwrap();
        if ports.contains(&u16::from_str_radix(port, 16).unwrap()) {
            assert_eq!(address, "0100007F", "{line}");
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn everything_lies_under_one_folder_and_secrets_are_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let holdfast = shared::installation();
    for (path, _) in tests::corrupter::files(&holdfast.root().join("client/pki")) {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("PRIVATE KEY") {
            assert_eq!(
                path.metadata().unwrap().permissions().mode() & 0o077,
                0,
                "{}",
                path.display()
            );
        }
    }
    for secret in [
        "director/admin.toml",
        "console.toml",
        "director/pki/ticket.key",
    ] {
        let path = holdfast.root().join(secret);
        let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{secret}: {e}"));
        let open = path.metadata().unwrap().permissions().mode() & 0o077;
        let holds_token = String::from_utf8_lossy(&text).contains("token = ");
        assert!(
            open == 0 || (secret == "console.toml" && !holds_token),
            "{secret} is open to others: {open:o}"
        );
    }
}
