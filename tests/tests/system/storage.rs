//! Trouble where data is stored: full disks, flipped bits, foreign files. What was there stays; what is hurt is named.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tests::args;
use tests::compare::{self, Compare, assert_same};
use tests::corrupter::{self, Damage};
use tests::installation::{Daemon, Installation, restored};
use tests::mounts;
use tests::seed::Seed;
use tests::tree::plain::{self, Plain};

#[test]
fn a_full_disk_at_the_storage_daemon_is_an_error_and_what_was_there_stays_readable() {
    mounts::private(|| {
        let holdfast = Installation::folder_only();
        mounts::tmpfs(&holdfast.volumes(), 40 << 20);
        holdfast.up();
        let source = holdfast.scratch("fits");
        std::fs::write(source.join("small"), Seed::new(1).bytes(3_000_000)).unwrap();
        holdfast.job_over("fits", &source);
        holdfast.backup("fits", 0);

        let large = holdfast.scratch("too-large");
        let shape = Plain {
            folders: 4,
            files: 20,
            size_bytes: 1_000_000,
        };
        plain::make(&large, &Seed::new(2), shape);
        holdfast.job_over("too-large", &large);
        let run = holdfast.backup("too-large", 2);
        assert_eq!(run["status"], "error", "{run}");
        let text = format!("{} {}", run["reason"], holdfast.log_of(&run)).to_lowercase();
        assert!(text.contains("space") || text.contains("full"), "{text}");
        assert!(
            text.contains("volume") || text.contains("local"),
            "the place is named: {text}"
        );

        let to = holdfast.absent("fits");
        holdfast.restore("fits", &to);
        assert_same(&source, &restored(&to, &source));
        assert_eq!(
            holdfast
                .console()
                .json(["snapshots", "--job", "too-large"])
                .to_string()
                .matches("job_id")
                .count(),
            0
        );
        // A restart changes nothing about it.
        holdfast.kill(Daemon::Storage);
        holdfast.up();
        holdfast.connected();
        let to = holdfast.absent("fits-again");
        holdfast.restore("fits", &to);
        assert_same(&source, &restored(&to, &source));
        holdfast.check_logs(&[" WARN ", " ERROR "]);
    });
}

#[test]
fn a_restore_target_that_is_full_stops_the_restore_and_no_half_file_has_a_final_name() {
    mounts::private(|| {
        let holdfast = Installation::start();
        let source = holdfast.scratch("much");
        let shape = Plain {
            folders: 3,
            files: 10,
            size_bytes: 700_000,
        };
        plain::make(&source, &Seed::new(3), shape);
        holdfast.job_over("much", &source);
        holdfast.backup("much", 0);
        let to = holdfast.scratch("small-target");
        mounts::tmpfs(&to, 6 << 20);
        let run = holdfast.restore_with(args!["--job", "much", "--to", &to], 2);
        let text = format!("{} {}", run["reason"], holdfast.log_of(&run));
        assert!(
            text.to_lowercase().contains("space") && text.contains("file-"),
            "names what is unfinished: {text}"
        );
        let place = restored(&to, &source);
        for (path, _) in corrupter::files(&to) {
            if let Ok(original) = std::fs::read(source.join(path.strip_prefix(&place).unwrap())) {
                assert!(
                    std::fs::read(&path).unwrap() == original,
                    "half a file: {}",
                    path.display()
                );
            }
        }
        let to = holdfast.absent("much");
        holdfast.restore("much", &to);
        assert_same(&source, &restored(&to, &source));
    });
}

/// Where in which volume these bytes are stored.
fn stored_at(volumes: &Path, needle: &[u8]) -> (PathBuf, u64) {
    for (path, _) in corrupter::files(volumes) {
        let bytes = std::fs::read(&path).unwrap();
        let mut at = bytes
            .windows(needle.len())
            .position(|window| window == needle);
        if let Some(offset) = at.take() {
            return (path, offset as u64);
        }
    }
    panic!("random bytes are stored as they are");
}

#[test]
fn a_flipped_bit_in_a_volume_is_named_by_its_file_and_the_next_run_stores_it_anew() {
    let holdfast = Installation::start();
    let source = holdfast.scratch("flipped");
    for (name, size) in [
        ("before", 2_000_000),
        ("victim", 3_000_000),
        ("behind", 2_000_000),
        ("small", 100),
    ] {
        std::fs::write(source.join(name), Seed::new(4).fork(name).bytes(size)).unwrap();
    }
    holdfast.job_over("flipped", &source);
    holdfast.backup("flipped", 0);
    let mut needle = [0; 48];
    let victim = std::fs::File::open(source.join("victim")).unwrap();
    victim.read_exact_at(&mut needle, 1_500_000).unwrap();
    let (volume, offset) = stored_at(&holdfast.volumes(), &needle);
    corrupter::flip(&volume, offset + 20, 3);

    let to = holdfast.absent("flipped");
    let run = holdfast.restore_with(args!["--job", "flipped", "--to", &to], 2);
    let log = holdfast.log_of(&run);
    assert!(log.contains("flipped/victim"), "{log}");
    let place = restored(&to, &source);
    // Content that shares a block with the victim may be hurt too: then it is named. All else is delivered.
    for name in ["before", "behind", "small"] {
        let is_named = log.contains(&format!("flipped/{name}"));
        let whole = std::fs::read(place.join(name)).ok() == std::fs::read(source.join(name)).ok();
        assert!(whole != is_named, "{name}: whole {whole}, named {is_named}");
    }
    assert!(
        !place.join("victim").exists(),
        "what is damaged has no final name"
    );

    let again = holdfast.backup("flipped", 0);
    assert!(
        again["counts"]["stored_bytes"].as_u64().unwrap() > 100_000,
        "stored anew: {again}"
    );
    let to = holdfast.absent("healed");
    holdfast.restore("flipped", &to);
    assert_same(&source, &restored(&to, &source));
    holdfast.check_logs(&[" WARN ", " ERROR "]);
}

#[test]
fn a_base_whose_pages_are_lost_is_no_base_and_the_next_run_is_whole_again() {
    let holdfast = Installation::start();
    let source = holdfast.scratch("pageless");
    std::fs::create_dir(source.join("folder")).unwrap();
    for name in ["stays", "folder/goes", "folder/changes"] {
        std::fs::write(source.join(name), Seed::new(7).fork(name).bytes(50_000)).unwrap();
    }
    holdfast.job_over("pageless", &source);
    holdfast.backup("pageless", 0);
    // A daemon that was just started holds no page in memory.
    holdfast.kill(Daemon::Storage);
    let files = corrupter::files(&holdfast.volumes());
    let is_pages = |path: &Path| path.to_string_lossy().contains("pages-");
    let (pages, _) = files.iter().find(|(path, _)| is_pages(path)).unwrap();
    let volume = std::fs::File::options().write(true).open(pages).unwrap();
    volume.write_all_at(&[0; 2048], 4096 + 512).unwrap();
    drop(volume);
    holdfast.up();
    holdfast.connected();
    let to = holdfast.absent("pageless");
    holdfast.restore_with(args!["--job", "pageless", "--to", &to], 2);

    std::fs::remove_file(source.join("folder/goes")).unwrap();
    std::fs::write(source.join("folder/changes"), "changed").unwrap();
    let run = holdfast.backup("pageless", 0);
    let log = holdfast.log_of(&run);
    assert!(log.contains("everything is read again"), "{log}");
    let to = holdfast.absent("whole");
    holdfast.restore("pageless", &to);
    assert_same(&source, &restored(&to, &source));
    let place = format!("vm:{}/folder", source.display());
    let listed = holdfast.console().ok(args!["ls", &place]);
    assert!(listed.says("changes") && !listed.says("goes"), "{listed}");
    holdfast.backup("pageless", 0);
    holdfast.check_logs(&[" WARN ", " ERROR "]);
}

#[test]
fn damage_anywhere_never_delivers_wrong_content_and_heals() {
    let holdfast = Installation::start();
    let source = holdfast.scratch("damaged");
    let shape = Plain {
        folders: 12,
        files: 12,
        size_bytes: 20_000,
    };
    plain::make(&source, &Seed::new(5), shape);
    holdfast.job_over("damaged", &source);
    holdfast.backup("damaged", 0);
    let rounds = std::env::var("HOLDFAST_DAMAGES").map_or(6, |n| n.parse().unwrap());
    let mut seed = Seed::of_run(6);
    for round in 0..rounds {
        let kinds = [Damage::Flip, Damage::Flip, Damage::Zero];
        let done = corrupter::damage(&holdfast.volumes(), "", *seed.pick(&kinds), &mut seed);
        let to = holdfast.absent(&format!("damaged-{round}"));
        let reply = holdfast
            .console()
            .run(args!["restore", "--job", "damaged", "--to", &to, "--json"]);
        let place = restored(&to, &source);
        let found = if place.exists() {
            compare::differences(&source, &place, Compare::NoTimes)
        } else {
            vec!["all: is missing".to_owned()]
        };
        let wrong: Vec<_> = found
            .iter()
            .filter(|line| line.contains("content"))
            .collect();
        assert!(wrong.is_empty(), "wrong content after {done:?}: {wrong:?}");
        assert!(
            found.is_empty() || reply.code == 2,
            "incomplete, but exit code {} after {done:?}: {found:?}",
            reply.code
        );
        // Whatever it hit: the next runs are good again without a hand, and the one after restores whole.
        let _ = holdfast.console().run(["run", "damaged", "--wait"]);
        let run = holdfast.console().run(["run", "damaged", "--wait"]);
        assert_eq!(run.code, 0, "after {done:?}: {run}");
        let to = holdfast.absent(&format!("healed-{round}"));
        holdfast.restore("damaged", &to);
        assert_same(&source, &restored(&to, &source));
        tests::folder::remove_tree(&to);
    }
    holdfast.check_logs(&[" WARN ", " ERROR "]);
}

#[test]
fn a_foreign_file_in_the_volume_folder_is_left_alone() {
    let holdfast = Installation::start();
    let source = holdfast.scratch("foreign");
    std::fs::write(source.join("x"), "x").unwrap();
    holdfast.job_over("foreign", &source);
    holdfast.backup("foreign", 0);
    let foreign = holdfast.volumes().join("README.txt");
    std::fs::write(&foreign, "somebody's notes").unwrap();
    holdfast.kill(Daemon::Storage);
    holdfast.up();
    holdfast.connected();
    holdfast.backup("foreign", 0);
    let to = holdfast.absent("foreign");
    holdfast.restore("foreign", &to);
    assert_same(&source, &restored(&to, &source));
    assert_eq!(
        std::fs::read_to_string(&foreign).unwrap(),
        "somebody's notes"
    );
}
