//! Databases for tests: one throw-away PostgreSQL per test program, a fresh database per test.
//!
//! The cluster runs with fsync off under a small shell that waits for the end of its input, so it goes
//! away with the test program however that ends. Never used by a Director.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::sync::OnceCell;

use super::connect::{Catalog, Durability};
use super::embedded::{Account, Binaries};

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Waits for the end of input, then takes server and folder away.
const SHELL: &str = r#"
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off \
  -c max_connections=200 -c shared_buffers=64MB -c jit=off </dev/null >"$2/log" 2>&1 &
read -r _
kill -QUIT $!
wait $!
rm -rf "$2"
"#;

struct Cluster {
    folder: PathBuf,
    /// Closed by the system when this program ends.
    _shell: ChildStdin,
}

/// A catalog in a fresh database, schema in place.
///
/// # Panics
/// When there is no PostgreSQL on this machine.
pub async fn catalog() -> Catalog {
    let options = database("TEMPLATE template_holdfast").await;
    Catalog::connect(options, Durability::Scratch)
        .await
        .expect("a fresh database takes the schema")
}

/// How to reach a fresh, empty database.
///
/// # Panics
/// When there is no PostgreSQL on this machine.
pub async fn empty_database() -> PgConnectOptions {
    database("TEMPLATE template0").await
}

/// The URL of a fresh, empty database, for `catalog.url`.
///
/// # Panics
/// When there is no PostgreSQL on this machine.
pub async fn empty_database_url() -> String {
    let options = empty_database().await;
    let folder = options
        .get_socket()
        .map(|s| s.display().to_string())
        .unwrap_or_default();
    let folder = folder.replace('/', "%2F");
    let database = options.get_database().unwrap_or_default();
    format!("postgres://holdfast@{folder}/{database}?sslmode=disable")
}

/// File versions above the heads of all series of a database: what nobody may see.
///
/// # Panics
/// When it cannot be read.
pub async fn unpublished_rows(url: &str) -> u64 {
    let mut connection = PgConnection::connect(url)
        .await
        .expect("the test cluster runs");
    let rows: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM entry JOIN series ON series.id = entry.series WHERE since > head",
    )
    .fetch_one(&mut connection)
    .await
    .expect("the schema is there");
    connection.close().await.expect("the test cluster runs");
    rows.unsigned_abs()
}

/// Ends every other connection to a database again and again, for so long.
///
/// # Panics
/// When the cluster does not run.
pub async fn cut_connections(url: &str, time: Duration) {
    let mut connection = PgConnection::connect(url)
        .await
        .expect("the test cluster runs");
    let end = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < end {
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .execute(&mut connection)
        .await
        .expect("a superuser may");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    connection.close().await.expect("the test cluster runs");
}

async fn database(how: &str) -> PgConnectOptions {
    let cluster = CLUSTER.get_or_init(Cluster::start).await;
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect_with(&cluster.options("postgres"))
        .await
        .expect("the test cluster runs");
    let sql = format!("CREATE DATABASE {name} {how}");
    connection
        .execute(AssertSqlSafe(sql))
        .await
        .expect("a database can be made");
    connection.close().await.expect("the test cluster runs");
    cluster.options(&name)
}

impl Cluster {
    async fn start() -> Self {
        let cluster = tokio::task::spawn_blocking(Self::launch)
            .await
            .expect("the cluster is made");
        cluster.wait().await;
        let mut connection = PgConnection::connect_with(&cluster.options("postgres"))
            .await
            .expect("the test cluster runs");
        let made = connection
            .execute("CREATE DATABASE template_holdfast")
            .await;
        made.expect("a database can be made");
        connection.close().await.expect("the test cluster runs");
        let template = Catalog::connect(cluster.options("template_holdfast"), Durability::Scratch)
            .await
            .expect("the schema can be made");
        template.close().await;
        cluster
    }

    fn launch() -> Self {
        let account = Account::needed().expect("PostgreSQL does not run as root: user postgres");
        let binaries = Binaries::find(None).expect("tests need PostgreSQL: apt install postgresql");
        let folder = tempfile::Builder::new()
            .prefix("holdfast-test-")
            .tempdir_in("/tmp")
            .expect("/tmp takes a folder")
            .keep();
        if let Some(account) = &account {
            account.own(&folder).expect("root may give folders away");
        }
        let mut initdb = Command::new(binaries.program("initdb"));
        initdb
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .args(["--username=holdfast", "--pgdata"])
            .arg(folder.join("data"));
        run_as(&mut initdb, account.as_ref());
        let made = initdb.current_dir("/").output().expect("initdb can be run");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        Self {
            _shell: shell(&binaries.folder, &folder, account.as_ref()),
            folder,
        }
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.folder)
            .port(5432)
            .username("holdfast")
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    async fn wait(&self) {
        for _ in 0..600 {
            if PgConnection::connect_with(&self.options("postgres"))
                .await
                .is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let _ = writeln!(std::io::stderr(), "{log}");
        unreachable!("the test cluster comes up within 30 s");
    }
}

#[allow(
    clippy::zombie_processes,
    reason = "it outlives this program, to clear up after it"
)]
fn shell(binaries: &Path, folder: &Path, account: Option<&Account>) -> ChildStdin {
    use std::os::unix::process::CommandExt;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", SHELL, "sh"]).arg(binaries).arg(folder);
    shell
        .current_dir("/")
        .stdin(Stdio::piped())
        .process_group(0);
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    run_as(&mut shell, account);
    let child = shell.spawn().expect("/bin/sh can be run");
    child.stdin.expect("its input is a pipe")
}

fn run_as(command: &mut Command, account: Option<&Account>) {
    use std::os::unix::process::CommandExt;
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
}
