//! Restores into a target that somebody prepared: never a byte outside of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tests::args;
use tests::folder::Folder;
use tests::installation::{Installation, restored};
use tests::seed::Seed;
use tests::tree::plain::{self, Plain};

use crate::shared;

/// A backed-up tree `folder/file`, a target, and a folder outside of it that must stay as it is.
struct Scene {
    source: PathBuf,
    to: PathBuf,
    outside: PathBuf,
}

fn scene(holdfast: &Installation, name: &str) -> Scene {
    let source = holdfast.scratch(name);
    let root = Folder::open(&source);
    root.folder(b"folder").file(b"file", b"stored");
    root.file(b"top", b"stored");
    holdfast.job_over(name, &source);
    holdfast.backup(name, 0);
    let outside = holdfast.scratch(&format!("{name}-outside"));
    std::fs::write(outside.join("file"), "untouched").unwrap();
    std::fs::write(outside.join("top"), "untouched").unwrap();
    Scene {
        source,
        to: holdfast.scratch(&format!("{name}-to")),
        outside,
    }
}

impl Scene {
    /// The folder in the target that takes the tree, made now.
    fn place(&self) -> PathBuf {
        let place = restored(&self.to, &self.source);
        std::fs::create_dir_all(&place).unwrap();
        place
    }

    #[track_caller]
    fn assert_outside_untouched(&self) {
        let mut names = Folder::open(&self.outside).names().unwrap();
        names.sort();
        assert_eq!(names, [b"file".to_vec(), b"top".to_vec()]);
        for name in ["file", "top"] {
            assert_eq!(
                std::fs::read_to_string(self.outside.join(name)).unwrap(),
                "untouched"
            );
        }
    }
}

fn link(to: &Path, at: PathBuf) {
    std::os::unix::fs::symlink(to, at).unwrap();
}

#[test]
fn a_link_where_a_folder_or_a_file_belongs_is_not_followed() {
    let holdfast = shared::installation();
    let scene = scene(&holdfast, "hostile-link");
    let place = scene.place();
    link(&scene.outside, place.join("folder"));
    link(&scene.outside.join("top"), place.join("top"));
    let run = holdfast
        .console()
        .run(args!["restore", "--job", "hostile-link", "--to", &scene.to]);
    scene.assert_outside_untouched();
    assert!(run.code <= 2, "{run}");
    if run.code == 0 {
        assert_eq!(
            std::fs::read_to_string(place.join("folder/file")).unwrap(),
            "stored"
        );
        assert!(!place.join("folder").is_symlink() && !place.join("top").is_symlink());
    }
}

#[test]
fn a_link_on_the_way_to_the_tree_is_not_followed() {
    let holdfast = shared::installation();
    let scene = scene(&holdfast, "hostile-way");
    let first = scene.source.components().nth(1).unwrap();
    link(&scene.outside, scene.to.join(first));
    let run = holdfast
        .console()
        .run(args!["restore", "--job", "hostile-way", "--to", &scene.to]);
    scene.assert_outside_untouched();
    assert!(run.code <= 2, "{run}");
}

#[test]
fn a_file_below_a_restored_link_does_not_go_through_it() {
    let holdfast = shared::installation();
    let scene = scene(&holdfast, "hostile-below");
    // First backup: folder is a link outward. Then the second snapshot's files are restored over it.
    let root = Folder::open(&scene.source);
    std::fs::remove_dir_all(scene.source.join("folder")).unwrap();
    root.symlink(b"folder", scene.outside.to_str().unwrap().as_bytes());
    let linked = holdfast.backup("hostile-below", 0);
    let at = linked["job_id"].to_string();
    holdfast.restore_with(
        args!["--job", "hostile-below", "--at", &at, "--to", &scene.to],
        0,
    );
    root.remove(b"folder");
    root.folder(b"folder").file(b"file", b"stored");
    holdfast.backup("hostile-below", 0);
    let run = holdfast.console().run(args![
        "restore",
        "--job",
        "hostile-below",
        "--to",
        &scene.to
    ]);
    assert!(run.code <= 2, "{run}");
    scene.assert_outside_untouched();
}

#[test]
fn a_hard_link_in_the_target_to_something_outside_is_replaced_not_written() {
    let holdfast = shared::installation();
    let scene = scene(&holdfast, "hostile-hard");
    let place = scene.place();
    std::fs::hard_link(scene.outside.join("top"), place.join("top")).unwrap();
    holdfast.restore_with(args!["--job", "hostile-hard", "--to", &scene.to], 0);
    scene.assert_outside_untouched();
    assert_eq!(
        std::fs::read_to_string(place.join("top")).unwrap(),
        "stored"
    );
}

#[test]
fn a_folder_swapped_for_a_link_while_restoring_leads_nowhere() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("race");
    let shape = Plain {
        folders: 8,
        files: 60,
        size_bytes: 2000,
    };
    plain::make(&source, &Seed::new(3), shape);
    holdfast.job_over("race", &source);
    holdfast.backup("race", 0);
    let outside = holdfast.scratch("race-outside");
    let to = holdfast.scratch("race-to");
    let place = restored(&to, &source);
    std::fs::create_dir_all(&place).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seed = Seed::new(4);
            while !over.load(Ordering::SeqCst) {
                let folder = place.join(format!("folder-{:04}", seed.below(8)));
                let aside = place.join(format!("aside-{}", seed.below(100)));
                if std::fs::rename(&folder, &aside).is_ok() || !folder.exists() {
                    let _ = std::os::unix::fs::symlink(&outside, &folder);
                }
                let _ = std::fs::rename(&folder, place.join(format!("link-{}", seed.below(100))));
            }
        });
        for _ in 0..3 {
            let run = holdfast
                .console()
                .run(args!["restore", "--job", "race", "--to", &to]);
            assert!(run.code <= 2, "{run}");
        }
        over.store(true, Ordering::SeqCst);
    });
    let escaped = Folder::open(&outside).names().unwrap();
    assert!(
        escaped.is_empty(),
        "{} files outside of the target",
        escaped.len()
    );
}
