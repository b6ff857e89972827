//! The connection between client and storage fails in every way: the run resumes or ends with a reason, never a false
//! "OK", and the next one needs no hand.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tests::compare::assert_same;
use tests::installation::{Daemon, Installation, job_id, restored};
use tests::proxy::{Fault, Proxy, Way};
use tests::seed::Seed;
use tests::tree::plain::{self, Plain};

/// An installation whose client reaches the storage through a proxy.
struct Detour {
    holdfast: Installation,
    proxy: Proxy,
    source: PathBuf,
    rounds: u64,
}

impl Detour {
    fn new() -> Self {
        let holdfast = Installation::start();
        let proxy = Proxy::start(holdfast.storage_address());
        holdfast.stop(Daemon::Storage);
        let path = holdfast.root().join("storage/storage.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let told = |address: SocketAddr| format!("addresses = [\"{address}\"]");
        let moved = text.replace(&told(holdfast.storage_address()), &told(proxy.address()));
        assert_ne!(
            text, moved,
            "storage.toml names the address that clients use"
        );
        std::fs::write(&path, moved).unwrap();
        holdfast.up();
        holdfast.connected();
        let source = holdfast.scratch("detour");
        holdfast.job_over("detour", &source);
        Self {
            holdfast,
            proxy,
            source,
            rounds: 0,
        }
    }

    /// New files, and a run with this fault; then one without.
    fn round(&mut self, way: Way, fault: Fault) {
        self.rounds += 1;
        let shape = Plain {
            folders: 4,
            files: 15,
            size_bytes: 60_000,
        };
        let folder = self.source.join(format!("round-{}", self.rounds));
        plain::make(&folder, &Seed::new(self.rounds), shape);
        eprintln!("round {}: {way:?} {fault:?}", self.rounds);
        self.proxy.plan(way, fault);
        let before = self.proxy.connections();
        let id = self.holdfast.start_run("detour");
        // A fault that ends each connection must not stand for ever, or no try could be better.
        if matches!(fault, Fault::Cut(_) | Fault::Flip(_)) {
            tests::wait::until_true(
                "the first connection is made",
                Duration::from_secs(20),
                || self.proxy.connections() > before,
            );
            self.proxy.heal();
        }
        let run = self.holdfast.finished(id);
        let status = run["status"].as_str().unwrap().to_owned();
        assert!(
            matches!(status.as_str(), "ok" | "incomplete" | "error"),
            "{way:?} {fault:?}: {run}"
        );
        if status == "ok" {
            self.holds();
        } else {
            assert!(
                run["reason"].as_str().is_some_and(|r| !r.is_empty()),
                "{run}"
            );
        }
        self.proxy.heal();
        let next = self.holdfast.backup("detour", 0);
        assert!(job_id(&next) > id);
        self.holds();
    }

    fn holds(&self) {
        let to = self.holdfast.absent("detour");
        self.holdfast.restore("detour", &to);
        assert_same(&self.source, &restored(&to, &self.source));
        tests::folder::remove_tree(&to);
    }
}

#[test]
fn cut_flipped_delayed_and_split_connections_never_give_a_false_ok() {
    let mut detour = Detour::new();
    for (way, fault) in [
        (Way::Up, Fault::Cut(0)),
        (Way::Up, Fault::Cut(300)),
        (Way::Up, Fault::Cut(5_000)),
        (Way::Up, Fault::Cut(1_000_000)),
        (Way::Down, Fault::Cut(2_000)),
        (Way::Down, Fault::Cut(6_000)),
        (Way::Up, Fault::Flip(500_000)),
        (Way::Down, Fault::Flip(4_500)),
        (Way::Up, Fault::Split(333)),
        (Way::Down, Fault::Split(1)),
        (Way::Down, Fault::Delay(Duration::from_millis(20))),
    ] {
        detour.round(way, fault);
    }
    detour.holdfast.check_logs(&[" WARN ", " ERROR "]);
}
