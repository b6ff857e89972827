//! Random trees and random changes: an incremental tree is what a Full would be, every time.
#![allow(clippy::unwrap_used)]

use std::fs;

use proptest::prelude::*;

use super::tests_memory::Client;

/// One change of the disk; numbers choose names from a small set, so that changes meet.
#[derive(Debug, Clone)]
enum Change {
    Write(u8, u16),
    Folder(u8),
    Remove(u8),
    Rename(u8, u8),
    Link(u8, u8),
    Mode(u8, bool),
    Many(u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<u8>(), any::<u16>()).prop_map(|(n, s)| Change::Write(n, s)),
        3 => any::<u8>().prop_map(Change::Folder),
        2 => any::<u8>().prop_map(Change::Remove),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Change::Rename(a, b)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Change::Link(a, b)),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(n, m)| Change::Mode(n, m)),
        1 => any::<u8>().prop_map(Change::Many),
    ]
}

/// One of a few paths, up to three deep.
fn path(n: u8) -> String {
    let names = ["a", "b", "c", "c.d"];
    let part = |shift: u32| names[usize::from(n >> shift) % names.len()];
    match n >> 6 {
        0 | 1 => format!("{}/{}", part(0), part(2)),
        2 => part(0).to_owned(),
        _ => format!("{}/{}/{}", part(0), part(2), part(4)),
    }
}

/// Does what it can; a change that cannot be made is none.
fn apply(client: &Client, change: &Change) {
    let at = |n: &u8| client.path(&path(*n));
    let _ = match change {
        Change::Write(n, seed) => {
            fs::write(at(n), seed.to_le_bytes().repeat(usize::from(*seed % 700)))
        }
        Change::Folder(n) => fs::create_dir_all(at(n)),
        Change::Remove(n) => fs::remove_file(at(n)).or_else(|_| fs::remove_dir_all(at(n))),
        Change::Rename(from, to) => fs::rename(at(from), at(to)),
        Change::Link(from, to) => fs::hard_link(at(from), at(to)),
        Change::Mode(n, wide) => {
            use std::os::unix::fs::PermissionsExt;
            let mode = if *wide { 0o755 } else { 0o700 };
            fs::set_permissions(at(n), fs::Permissions::from_mode(mode))
        }
        Change::Many(n) => {
            (0..200).try_for_each(|f| fs::write(at(n).join(format!("file {f}")), [*n]))
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn an_incremental_tree_is_the_full_tree(rounds in proptest::collection::vec(
        proptest::collection::vec(change(), 1..12), 1..5)
    ) {
        let mut client = Client::new();
        for (n, round) in rounds.iter().enumerate() {
            round.iter().for_each(|c| apply(&client, c));
            let level = if n == 0 { "full" } else { "incremental" };
            let saved = client.save(level);
            client.check(&saved);
            let again = client.save("incremental");
            prop_assert_eq!(again.root, saved.root);
            prop_assert_eq!(again.counts.files_read, 0);
        }
    }
}
