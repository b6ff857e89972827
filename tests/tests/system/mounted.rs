//! Mounts below an include, and a file system with attributes larger than ext4 holds.

use tests::compare::assert_same;
use tests::folder::Folder;
use tests::installation::{Installation, quoted, restored};
use tests::mounts;
use tests::seed::Seed;
use tests::tree::attributes;

#[test]
fn a_run_stays_on_one_file_system_with_a_notice_per_mount_unless_told_otherwise() {
    mounts::private(|| {
        let holdfast = Installation::start();
        let (source, outside) = (holdfast.scratch("mounted"), holdfast.scratch("outside"));
        std::fs::write(source.join("own"), "on the same file system").unwrap();
        std::fs::write(outside.join("bound"), "seen through a bind mount").unwrap();
        mounts::tmpfs(&source.join("tmpfs"), 4 << 20);
        std::fs::write(source.join("tmpfs/memory"), "in memory").unwrap();
        mounts::bind(&outside, &source.join("bind"));

        holdfast.job_over("one", &source);
        let run = holdfast.backup("one", 0);
        assert_eq!(run["counts"]["files"], 1, "{run}");
        let log = holdfast.log_of(&run);
        for mount in ["tmpfs", "bind"] {
            let path = source.join(mount);
            assert!(
                log.contains(path.to_str().unwrap()),
                "a notice about {} expected in {log}",
                path.display()
            );
        }
        let to = holdfast.absent("one");
        holdfast.restore("one", &to);
        let there = restored(&to, &source);
        assert!(
            there.join("tmpfs").is_dir() && there.join("bind").is_dir(),
            "mount points stay, empty"
        );
        assert!(!there.join("tmpfs/memory").exists() && !there.join("bind/bound").exists());

        holdfast.job(
            "all",
            &format!(
                "include = [{{ path = {}, cross_file_systems = true }}]",
                quoted(&source)
            ),
        );
        assert_eq!(holdfast.backup("all", 0)["counts"]["files"], 3);
        let to = holdfast.absent("all");
        holdfast.restore("all", &to);
        assert_same(&source, &restored(&to, &source));
        holdfast.check_logs(&[]);
    });
}

#[test]
fn attributes_of_sixty_kilobytes_come_back() {
    mounts::private(|| {
        let holdfast = Installation::start();
        let both = holdfast.scratch("huge");
        mounts::tmpfs(&both, 16 << 20);
        let source = both.join("source");
        attributes::huge(&Folder::make(&source), &Seed::new(3));
        holdfast.job_over("huge", &source);
        holdfast.backup("huge", 0);
        let to = both.join("restored");
        holdfast.restore("huge", &to);
        assert_same(&source, &restored(&to, &source));
    });
}
