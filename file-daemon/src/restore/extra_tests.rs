//! Real folders: what may go goes, what the FileSet leaves out stays with the folders it lies in.

use std::path::Path;

use common::fileset::{Action, Include, Rule};

use super::*;

struct Case {
    scratch: tempfile::TempDir,
    fileset: FileSet,
    own: Vec<Vec<u8>>,
}

impl Case {
    /// A folder `f` whose snapshot path is `/data`.
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("f")).unwrap();
        let include = Include {
            path: b"/data".to_vec(),
            exclude_if_present: vec![".nobackup".into()],
            skip_caches: true,
            max_size: 100,
            ..Include::default()
        };
        let exclude = |glob: &str| Rule {
            action: Action::Exclude.into(),
            glob: glob.into(),
            ..Rule::default()
        };
        Self {
            scratch,
            fileset: FileSet {
                includes: vec![include],
                rules: vec![exclude("*.iso"), exclude("/data/keep")],
                ..FileSet::default()
            },
            own: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join("f").join(name)
    }

    fn make(&self, name: &str, bytes: usize) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![b'x'; bytes]).unwrap();
    }

    fn clear(&self, name: &str, act: Act) -> Fate {
        let guard = Guard::new(&self.fileset, &self.own).unwrap();
        let folder = open(&self.path(""));
        let extra = ExtraName {
            parent: &folder,
            mount: Mount::of(&look_at(&folder).unwrap()),
            name: name.as_bytes(),
            saved_path: &joined(b"/data", name.as_bytes()),
            real_path: &joined(&real_path(&folder).unwrap(), name.as_bytes()),
        };
        guard.clear(&extra, act).unwrap()
    }
}

fn open(path: &Path) -> OwnedFd {
    std::fs::File::open(path).unwrap().into()
}

#[test]
fn what_would_have_been_saved_goes_and_a_dry_run_touches_nothing() {
    let case = Case::new();
    case.make("file", 1);
    case.make("folder/deep/er/x", 1);
    case.make("folder/y", 1);
    std::os::unix::fs::symlink("/", case.path("folder/link")).unwrap();
    for (act, there) in [(Act::Say, true), (Act::Remove, false)] {
        for name in ["file", "folder"] {
            assert_eq!(case.clear(name, act), Fate::Gone);
            assert_eq!(case.path(name).exists(), there, "{name} {act:?}");
        }
    }
    assert_eq!(case.clear("absent", Act::Remove), Fate::Gone);
}

#[test]
fn what_a_rule_or_a_limit_leaves_out_stays_with_the_folders_above_it() {
    let case = Case::new();
    for name in ["a.iso", "keep/x", "mixed/deep/b.iso"] {
        case.make(name, 1);
    }
    case.make("large", 101);
    case.make("mixed/deep/plain", 1);
    case.make("mixed/plain/x", 1);
    for name in ["a.iso", "keep", "mixed", "large"] {
        assert_eq!(case.clear(name, Act::Remove), Fate::Spared, "{name}");
    }
    for name in ["a.iso", "keep/x", "mixed/deep/b.iso", "large"] {
        assert!(case.path(name).exists(), "{name}");
    }
    for name in ["mixed/deep/plain", "mixed/plain"] {
        assert!(!case.path(name).exists(), "{name}");
    }
}

#[test]
fn what_lies_beside_a_marker_or_a_cache_tag_stays() {
    let case = Case::new();
    case.make("marked/sub/.nobackup", 0);
    case.make("marked/sub/data", 1);
    case.make("cache/data", 1);
    let tag = crate::select::selector::CACHE_TAG_SIGNATURE;
    std::fs::write(case.path("cache/CACHEDIR.TAG"), tag).unwrap();
    case.make("no-cache/CACHEDIR.TAG", 50);
    for name in ["marked", "cache"] {
        assert_eq!(case.clear(name, Act::Remove), Fate::Spared, "{name}");
    }
    assert_eq!(case.clear("no-cache", Act::Remove), Fate::Gone);
    assert!(case.path("marked/sub/data").exists() && case.path("cache/data").exists());
    let guard = Guard::new(&case.fileset, &[]).unwrap();
    let folder = open(&case.path(""));
    assert!(guard.takes_all_of(b"/data", &folder, &|_| false));
    // The snapshot has the marker, and the folder on the disk lost it.
    assert!(!guard.takes_all_of(b"/data", &folder, &|name| name == b".nobackup"));
}

#[test]
fn folders_of_holdfast_stay_also_when_reached_by_another_name() {
    let mut case = Case::new();
    case.make("srv/holdfast/volumes/v1", 1);
    case.make("srv/other", 1);
    let alias = case.scratch.path().join("alias");
    std::os::unix::fs::symlink(case.path("srv"), &alias).unwrap();
    case.own = vec![alias.join("holdfast").into_os_string().as_bytes().to_vec()];
    assert_eq!(case.clear("srv", Act::Remove), Fate::Spared);
    assert!(case.path("srv/holdfast/volumes/v1").exists());
    assert!(!case.path("srv/other").exists());
}

#[test]
fn a_mount_of_the_same_device_stays() {
    let case = Case::new();
    case.make("x/mount/.keep", 1);
    std::fs::create_dir(case.scratch.path().join("other")).unwrap();
    std::fs::write(case.scratch.path().join("other/precious"), b"1").unwrap();
    let mount = |arguments: &[&std::ffi::OsStr]| {
        let said = std::process::Command::new(arguments[0])
            .args(&arguments[1..])
            .output();
        said.is_ok_and(|s| s.status.success())
    };
    let (other, point) = (case.scratch.path().join("other"), case.path("x/mount"));
    if !mount(&[
        "mount".as_ref(),
        "--bind".as_ref(),
        other.as_ref(),
        point.as_ref(),
    ]) {
        eprintln!("skipped: this place does not let mounts be made");
        return;
    }
    let fate = case.clear("x", Act::Remove);
    let kept = other.join("precious").exists();
    assert!(mount(&["umount".as_ref(), point.as_ref()]));
    assert!(kept && fate == Fate::Spared);
}
