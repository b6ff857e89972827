//! The cluster on disk: made once, whole or not at all; refused when another major version made it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::account::Account;
use super::binaries::Binaries;
use super::error::EmbeddedError;
use super::layout::Layout;

/// Settings of a new cluster. What must not be changed stands on the server's command line.
const CONFIGURATION: &str = include_str!("postgresql.conf");

/// Role and database of the catalog.
pub(super) const NAME: &str = "holdfast";

/// Major version of the cluster in a folder; `None` = there is none.
pub(super) fn version(data: &Path) -> Result<Option<String>, EmbeddedError> {
    let file = data.join("PG_VERSION");
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EmbeddedError::File {
            what: "read",
            path: file,
            source,
        }),
    }
}

/// Makes sure that there is a cluster these binaries can run.
pub(super) fn prepare(
    layout: &Layout,
    binaries: &Binaries,
    account: Option<&Account>,
) -> Result<(), EmbeddedError> {
    match version(&layout.data)? {
        Some(cluster) if cluster == binaries.major => Ok(()),
        Some(cluster) => Err(EmbeddedError::MajorVersion {
            data: layout.data.clone(),
            cluster,
            binaries: binaries.major.clone(),
        }),
        None => create(layout, binaries, account),
    }
}

/// Made beside and renamed, so that a half-made cluster is never taken for one.
fn create(
    layout: &Layout,
    binaries: &Binaries,
    account: Option<&Account>,
) -> Result<(), EmbeddedError> {
    let fail = |what, path: &Path| {
        let path = path.to_path_buf();
        move |source| EmbeddedError::File { what, path, source }
    };
    let draft = layout.data.with_extension("new");
    match std::fs::remove_dir_all(&draft) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(fail("remove", &draft)(e));
        }
        _ => {}
    }
    let mut folder = std::fs::DirBuilder::new();
    folder.mode(0o700);
    folder.create(&draft).map_err(fail("make folder", &draft))?;
    if let Some(account) = account {
        account.own(&draft)?;
    }
    initdb(&draft, binaries, account)?;
    configure(&draft).map_err(fail("configure", &draft))?;
    rename(&draft, &layout.data).map_err(fail("put in place", &layout.data))
}

fn initdb(
    draft: &Path,
    binaries: &Binaries,
    account: Option<&Account>,
) -> Result<(), EmbeddedError> {
    let program = binaries.program("initdb");
    let failed = |output: String| EmbeddedError::Program {
        program: program.clone(),
        output,
    };
    let mut command = Command::new(&program);
    // The socket's folder admits its owner only: that is the authentication.
    command
        .args(["--auth=trust", "--encoding=UTF8", "--locale=C"])
        .args(["--no-instructions", "--data-checksums", "--username", NAME])
        .arg("--pgdata")
        .arg(draft)
        .current_dir("/")
        .stdin(Stdio::null());
    run_as(&mut command, account);
    let done = command.output().map_err(|e| failed(e.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    let said = [done.stdout, done.stderr].concat();
    Err(failed(
        String::from_utf8_lossy(&said).trim().replace('\n', "; "),
    ))
}

/// Runs a command as the account, if there is one.
pub(super) fn run_as(command: &mut Command, account: Option<&Account>) {
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
}

/// Replaces the sample configuration. The file keeps its owner.
fn configure(draft: &Path) -> std::io::Result<()> {
    let path: PathBuf = draft.join("postgresql.conf");
    let mut file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(CONFIGURATION.as_bytes())?;
    file.sync_all()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a folder is moved: initdb has synced what is in it, the parent is synced here"
)]
fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    match to.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
