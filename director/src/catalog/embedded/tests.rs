//! The private PostgreSQL for real: made, stopped, killed, taken over.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::super::{Catalog, CatalogError, Durability, Place};
use super::{Embedded, EmbeddedError};

/// A folder the server's user can reach, with a long or a short path.
fn state(prefix: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in("/tmp")
        .unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

async fn open(state: &Path) -> Result<Catalog, CatalogError> {
    Catalog::open(&Place::Embedded(state.to_path_buf()), Durability::Required).await
}

fn pid(state: &Path) -> Pid {
    let text = std::fs::read_to_string(state.join("pg/postmaster.pid")).unwrap();
    Pid::from_raw(text.lines().next().unwrap().parse().unwrap()).unwrap()
}

/// Waits until another server has the folder, with a limit: one that was killed leaves backends that answer a while.
async fn started_again(state: &Path, before: Pid) {
    for _ in 0..600 {
        let text = std::fs::read_to_string(state.join("pg/postmaster.pid")).unwrap_or_default();
        let now = text.lines().next().and_then(|line| line.parse().ok());
        if now.and_then(Pid::from_raw).is_some_and(|now| now != before) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server is not started again within 30 s");
}

/// Waits until the catalog answers again, with a limit.
async fn answers(catalog: &Catalog) -> u64 {
    for _ in 0..600 {
        if let Ok(installation) = catalog.installation().await {
            return installation.term.0;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the catalog does not come back within 30 s");
}

#[tokio::test]
async fn a_catalog_lives_through_stop_crash_and_a_killed_director() {
    // A path too long for a socket: it goes elsewhere.
    let folder = state(&format!("holdfast-{}", "long".repeat(25)));
    let state = folder.path();
    let catalog = open(state).await.unwrap();
    assert_eq!(catalog.next_term().await.unwrap().0, 1);
    catalog.close().await;
    assert!(
        !state.join("pg/postmaster.pid").try_exists().unwrap(),
        "stopped cleanly"
    );

    let catalog = open(state).await.unwrap();
    assert_eq!(catalog.next_term().await.unwrap().0, 2);
    let before = pid(state);
    rustix::process::kill_process(before, Signal::KILL).unwrap();
    started_again(state, before).await;
    assert_eq!(answers(&catalog).await, 2, "what was committed is there");

    // As after kill -9 of a Director: nobody watches the server, it runs on.
    let running = pid(state);
    catalog.forget_embedded().await;
    drop(catalog);
    let catalog = open(state).await.unwrap();
    assert_eq!(
        (pid(state), catalog.next_term().await.unwrap().0),
        (running, 3)
    );
    catalog.close().await;
    assert!(
        !state.join("pg/postmaster.pid").try_exists().unwrap(),
        "stopped, though adopted"
    );
}

#[tokio::test]
async fn another_major_version_is_named_and_a_stale_pid_is_no_obstacle() {
    let folder = state("holdfast-pg-");
    let server = Embedded::start(folder.path()).await.unwrap();
    server.stop().await;
    let data = folder.path().join("pg");
    // A number that lives on as something else: this very program.
    let stale = format!("{}\n{}\n1\n5432\n", std::process::id(), data.display());
    std::fs::File::create(data.join("postmaster.pid")).unwrap();
    std::io::Write::write_all(
        &mut std::fs::File::create(data.join("postmaster.pid")).unwrap(),
        stale.as_bytes(),
    )
    .unwrap();
    let server = Embedded::start(folder.path()).await.unwrap();
    server.stop().await;
    let mut version = std::fs::File::create(data.join("PG_VERSION")).unwrap();
    std::io::Write::write_all(&mut version, b"9\n").unwrap();
    let refused = Embedded::start(folder.path()).await.unwrap_err();
    assert!(
        matches!(refused, EmbeddedError::MajorVersion { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("postgresql-9"), "{refused}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_entered_is_named() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = state("holdfast-pg-");
    let closed = folder.path().join("closed");
    let state = closed.join("director");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let refused = Embedded::start(&state).await.unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains(&format!("chmod o+x {}", closed.display())),
        "{text}"
    );
}
