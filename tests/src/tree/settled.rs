//! Files that have rested: a backup reads again what changed within the last two seconds before it, because a second
//! change in the same tick of the clock could hide. A test that counts what is read waits until its files have rested.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::wait;

/// Longer than what a backup distrusts.
const REST: Duration = Duration::from_millis(2200);
/// Longest wait.
const LIMIT: Duration = Duration::from_secs(10);

/// Waits until nothing below `root` has changed for two seconds.
///
/// # Panics
/// When something keeps changing.
#[track_caller]
pub fn wait_until_settled(root: &Path) {
    let newest = newest_change(root);
    wait::until_true("the files have rested", LIMIT, || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.is_ok_and(|now| now > newest + REST)
    });
}

/// The latest ctime below `root`, since the epoch.
fn newest_change(root: &Path) -> Duration {
    let (mut newest, mut open) = (Duration::ZERO, vec![root.to_owned()]);
    while let Some(path) = open.pop() {
        let metadata = std::fs::symlink_metadata(&path).expect("the tree can be looked at");
        let secs = u64::try_from(metadata.ctime()).expect("a change after 1970");
        let nanos = u32::try_from(metadata.ctime_nsec()).expect("below a second");
        newest = newest.max(Duration::new(secs, nanos));
        if metadata.is_dir() {
            let entries = std::fs::read_dir(&path).expect("the tree can be looked at");
            open.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    newest
}
