//! Mounts that only one test sees: a thread with a mount namespace of its own. They end with it and the daemons it
//! started, even when the test dies.

#![allow(unsafe_code)]

use std::path::Path;
use std::process::Command;

/// Runs `body` in a thread that has left the mounts of the machine; processes it starts inherit that.
///
/// # Panics
/// When the user is not root, or `body` panics.
pub fn private<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    crate::tree::everything::assert_root();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("private mounts".to_owned());
        let running = thread
            .spawn_scoped(scope, || {
                // SAFETY: NEWNS changes what this thread sees of the file system, and nothing about open descriptors.
                unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
                    .expect("root may leave the mount namespace");
                mount(&["--make-rprivate", "/"]);
                // Daemons have a namespace of their own below this one, and see what is mounted here later.
                mount(&["--make-rshared", "/"]);
                body()
            })
            .expect("a thread can be started");
        match running.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Mounts a tmpfs of so many bytes at `path`, which is made when missing.
pub fn tmpfs(path: &Path, size_bytes: u64) {
    std::fs::create_dir_all(path).expect("a mount point can be made");
    let options = format!("size={size_bytes},mode=0755");
    mount(&["-t", "tmpfs", "-o", &options, "holdfast-test", shown(path)]);
}

/// Shows the folder `from` at `to` too.
pub fn bind(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a mount point can be made");
    mount(&["--bind", shown(from), shown(to)]);
}

/// Ends the mount at `path`.
pub fn end(path: &Path) {
    run("umount", &["-l", shown(path)]);
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("folders of tests have plain names")
}

fn mount(arguments: &[&str]) {
    run("mount", arguments);
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(
        done.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}
