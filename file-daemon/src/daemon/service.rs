//! Service: takes the Director's orders. Each run is a task of its own; orders of a lower term are refused.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::net::control::ControlHandler;
use common::net::conversation::{Answer, ControlSender};
use common::net::pki::CredentialStore;
use common::protocol::control::{Body, Envelope, Hello, Welcome};
use common::protocol::fault::{Fault, code};
use common::protocol::orders::{BackupOrder, RestoreOrder, RunEnd};
use common::shutdown::Tasks;
use parking_lot::Mutex;

use super::backup_run::{Means, SharedStorage, backup, counts_now};
use super::permits::check_backup;
use super::questions;
use super::restore_run::{Told, restore};
use super::runs::{NotStarted, Run, Runs};
use super::teller::{CountsNow, tell, tell_end};
use crate::config::Config;

/// The daemon as the Director sees it. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    store: Arc<CredentialStore>,
    sender: ControlSender,
    tasks: Tasks,
    runs: Runs,
    term: AtomicU64,
    /// Folders of the Director, when it is on this host.
    foreign_folders: Mutex<Vec<Vec<u8>>>,
}

impl Service {
    /// A service without runs.
    #[must_use]
    pub fn new(
        config: Config,
        store: Arc<CredentialStore>,
        sender: ControlSender,
        tasks: Tasks,
    ) -> Self {
        let inner = Inner {
            config,
            store,
            sender,
            tasks,
            runs: Runs::default(),
            term: AtomicU64::new(0),
            foreign_folders: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Folders of Holdfast that this daemon knows of.
    fn own_folders(&self) -> Vec<Vec<u8>> {
        let config = &self.inner.config;
        let own = [config.pki(), config.state()];
        let own = own.iter().map(|p| p.as_os_str().as_bytes().to_vec());
        own.chain(self.inner.foreign_folders.lock().iter().cloned())
            .collect()
    }

    fn is_stale(&self, term: u64) -> bool {
        let known = self.inner.term.fetch_max(term, Ordering::AcqRel);
        term < known
    }

    fn backup(&self, mut order: BackupOrder) -> Answer {
        if self.is_stale(order.term) {
            return Answer::fault(stale());
        }
        let fileset = order.fileset.clone().unwrap_or_default();
        if let Err(fault) = check_backup(&self.inner.config, &fileset) {
            return Answer::fault(fault);
        }
        order.own_folders.extend(self.own_folders());
        let service = self.clone();
        self.start(order.job_id, move |run| async move {
            let storage = SharedStorage::default();
            let means = Means {
                store: Arc::clone(&service.inner.store),
                state: service.inner.config.state(),
            };
            let counts = counts_now(&run, &storage);
            let work = backup(order, &run, means, &storage);
            service.follow(&run, &counts, work).await;
        })
    }

    fn restore(&self, mut order: RestoreOrder) -> Answer {
        if self.is_stale(order.term) {
            return Answer::fault(stale());
        }
        order.own_folders.extend(self.own_folders());
        let service = self.clone();
        self.start(order.job_id, move |run| async move {
            let told = Told::default();
            run.tally
                .expected_entries
                .store(order.expected_entries, Ordering::Relaxed);
            run.tally
                .expected_bytes
                .store(order.expected_bytes, Ordering::Relaxed);
            let for_counts = Arc::clone(&told);
            let counts: CountsNow = Arc::new(move || *for_counts.lock());
            let with = (&service.inner.config, service.inner.store.as_ref());
            let work = restore(order, &run, with, &told);
            service.follow(&run, &counts, work).await;
        })
    }

    /// Begins a run as a task of its own. An order that comes twice is done already.
    fn start<F, T>(&self, job_id: u64, work: F) -> Answer
    where
        F: FnOnce(Arc<Run>) -> T,
        T: Future<Output = ()> + Send + 'static,
    {
        let parent = self.inner.tasks.stop_token();
        match self.inner.runs.begin(job_id, parent) {
            Ok(run) => {
                tracing::info!(job_id, "run begins");
                self.inner.tasks.spawn(work(run));
                Answer::done()
            }
            Err(NotStarted::Again) => Answer::done(),
            Err(NotStarted::TooMany) => Answer::fault(Fault::passing(
                code::BUSY,
                format!("client {} works on too many runs", self.inner.config.name),
            )),
        }
    }

    async fn follow(&self, run: &Arc<Run>, counts: &CountsNow, work: impl Future<Output = RunEnd>) {
        let sender = &self.inner.sender;
        let end = tokio::select! {
            end = work => end,
            () = tell(run, sender, counts) => return,
        };
        tracing::info!(job_id = run.job_id, outcome = %end.outcome, "run ended");
        run.over.store(true, Ordering::Release);
        tokio::select! {
            () = tell_end(run, sender, end) => {}
            () = run.replaced.cancelled() => {}
            () = self.inner.tasks.stop_token().cancelled() => {}
        }
        self.inner.runs.forget(run);
    }

    fn cancel(&self, job_id: u64, reason: &str) -> Answer {
        match self.inner.runs.get(job_id) {
            Some(run) => {
                tracing::info!(job_id, reason, "cancel");
                run.log.notice(format!("canceled: {reason}"));
                run.cancel();
                Answer::done()
            }
            None => Answer::fault(Fault::new(
                code::NOT_FOUND,
                format!("run {job_id} is not under way on this client"),
            )),
        }
    }
}

impl ControlHandler for Service {
    fn hello(&self) -> Hello {
        Hello {
            privileged: rustix::process::geteuid().is_root(),
            own_folders: self.own_folders(),
            running: self.inner.runs.ids(),
            ..Hello::default()
        }
    }

    async fn welcome(&self, welcome: &Welcome) {
        self.inner.term.fetch_max(welcome.term, Ordering::AcqRel);
        self.inner
            .foreign_folders
            .lock()
            .clone_from(&welcome.own_folders);
    }

    async fn receive(&self, envelope: Envelope) -> Answer {
        match envelope.body {
            Some(Body::Backup(order)) => self.backup(order),
            Some(Body::Restore(order)) => self.restore(order),
            Some(Body::Cancel(order)) => self.cancel(order.job_id, &order.reason),
            Some(Body::Estimate(order)) => {
                let fileset = order.fileset.clone().unwrap_or_default();
                match check_backup(&self.inner.config, &fileset) {
                    Ok(()) => {
                        let stop = self.inner.tasks.stop_token().clone();
                        questions::would_save(order, self.own_folders(), stop)
                    }
                    Err(fault) => Answer::fault(fault),
                }
            }
            Some(Body::Browse(order)) => questions::decides(order, self.own_folders()),
            Some(Body::Revoked(_)) => Answer::None,
            Some(_) => Answer::fault(Fault::new(
                code::OUT_OF_ORDER,
                "a File Daemon does not do this",
            )),
            None => Answer::fault(Fault::new(
                code::UNKNOWN,
                "this File Daemon does not know the order; it is older than the Director",
            )),
        }
    }
}

fn stale() -> Fault {
    Fault::new(
        code::TICKET,
        "the order is of a Director that is no longer in charge",
    )
}
