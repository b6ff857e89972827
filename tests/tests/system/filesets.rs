//! What a FileSet says is what is saved, no more and no less, and a person can ask why.

use std::path::Path;

use tests::args;
use tests::compare::assert_same;
use tests::folder::Folder;
use tests::installation::{Installation, quoted, restored};

use crate::shared;

/// Writes files with these names (paths) and sizes below `root`.
fn files(root: &Path, list: &[(&str, usize)]) {
    for (path, size) in list {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![b'x'; *size]).unwrap();
    }
}

/// All files below the restored tree, sorted, relative.
fn listed(root: &Path) -> Vec<String> {
    let found = tests::corrupter::files(root);
    found
        .iter()
        .map(|(path, _)| {
            path.strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

/// Backs up by this FileSet, restores, and gives the files that came back.
#[track_caller]
fn saved(holdfast: &Installation, name: &str, source: &Path, fileset: &str) -> Vec<String> {
    holdfast.job(name, fileset);
    let run = holdfast.backup(name, 0);
    let to = holdfast.absent(name);
    holdfast.restore(name, &to);
    let found = listed(&restored(&to, source));
    assert_eq!(run["counts"]["files"], found.len(), "{run}");
    found
}

#[test]
fn the_first_rule_that_matches_decides_and_fileset_test_names_it() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("rules");
    files(
        &source,
        &[
            ("a.tmp", 1),
            ("keep.tmp", 1),
            ("b.txt", 1),
            ("cache/c", 1),
            ("home/x/.cache/d", 1),
            ("home/x/e", 1),
            ("f.o", 1),
        ],
    );
    let fileset = format!(
        "include = [{0}]\nrules = [\n  \"include **/keep.tmp\",\n  \"exclude *.tmp\",\n  \"exclude {1}/cache\",\n  \
         \"exclude regex ^{1}/home/[^/]+/\\\\.cache/\",\n  \"exclude *.o\",\n]",
        quoted(&source),
        source.display()
    );
    let found = saved(&holdfast, "rules", &source, &fileset);
    assert_eq!(found, ["b.txt", "home/x/e", "keep.tmp"]);

    let ask = |path: &str| {
        let place = format!("{}:{}", holdfast.client_name(), source.join(path).display());
        holdfast.console().run(["fileset", "test", "rules", &place])
    };
    let no = ask("a.tmp")
        .expect_text("exclude *.tmp")
        .expect_text("test-rules.toml:5");
    assert_ne!(no.code, 2, "{no}");
    let _ = ask("keep.tmp")
        .expect_code(0)
        .expect_text("include **/keep.tmp");
    let _ = ask("b.txt").expect_code(0);
}

#[test]
fn markers_cache_tags_nodump_and_sizes_leave_out_what_they_say() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("markers");
    files(
        &source,
        &[
            ("a/.nobackup", 0),
            ("a/x", 1),
            ("a/sub/y", 1),
            ("cache/data", 1),
            ("fake/data", 1),
            ("small", 1),
            ("large", 5000),
            ("dump", 20),
        ],
    );
    std::fs::write(
        source.join("cache/CACHEDIR.TAG"),
        "Signature: 8a477f597d28d172789f06886806bc55\n",
    )
    .unwrap();
    std::fs::write(
        source.join("fake/CACHEDIR.TAG"),
        "no signature, so no cache tag",
    )
    .unwrap();
    let root = Folder::open(&source);
    root.flags(b"dump", rustix::fs::IFlags::NODUMP);
    let options = "exclude_if_present = [\".nobackup\"]\nskip_caches = true\nhonour_nodump = true\nmax_size = \"4KiB\"";
    let fileset = format!("include = [{}]\n{options}", quoted(&source));
    let found = saved(&holdfast, "markers", &source, &fileset);
    assert_eq!(
        found,
        [
            "a/.nobackup",
            "cache/CACHEDIR.TAG",
            "fake/CACHEDIR.TAG",
            "fake/data",
            "small"
        ]
    );
}

#[test]
fn overlapping_includes_save_once_and_single_files_can_be_included() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("overlap");
    files(
        &source,
        &[("a/b/one", 10), ("a/two", 10), ("three", 10), ("four", 10)],
    );
    let paths = ["a", "a/b", "a/two", "three"].map(|p| quoted(&source.join(p)));
    let found = saved(
        &holdfast,
        "overlap",
        &source,
        &format!("include = [{}]", paths.join(", ")),
    );
    assert_eq!(found, ["a/b/one", "a/two", "three"]);
}

#[test]
fn a_hard_link_whose_first_name_is_excluded_keeps_its_content() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("excluded-link");
    let root = Folder::open(&source);
    root.file(b"a-excluded", b"content of both");
    root.link(b"b-kept", &root, b"a-excluded");
    let fileset = format!(
        "include = [{}]\nrules = [\"exclude a-excluded\"]",
        quoted(&source)
    );
    let found = saved(&holdfast, "excluded-link", &source, &fileset);
    assert_eq!(found, ["b-kept"]);
    let path = restored(&holdfast.absent("excluded-link"), &source).join("b-kept");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "content of both");
}

#[test]
fn hard_links_across_includes_are_one_file() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("link-across");
    files(&source, &[("one/x", 1000), ("two/y", 10)]);
    std::fs::hard_link(source.join("one/x"), source.join("two/x")).unwrap();
    let fileset = format!(
        "include = [{}, {}]",
        quoted(&source.join("one")),
        quoted(&source.join("two"))
    );
    holdfast.job("link-across", &fileset);
    holdfast.backup("link-across", 0);
    let to = holdfast.absent("link-across");
    holdfast.restore("link-across", &to);
    let both = holdfast.scratch("link-across-compare");
    for part in ["one", "two"] {
        std::fs::rename(restored(&to, &source).join(part), both.join(part)).unwrap();
        assert_same(&source.join(part), &both.join(part));
    }
    use std::os::unix::fs::MetadataExt;
    let inode = |path: &str| std::fs::metadata(both.join(path)).unwrap().ino();
    assert_eq!(inode("one/x"), inode("two/x"));
}

#[test]
fn an_estimate_lists_exactly_what_a_run_then_saves() {
    let holdfast = shared::installation();
    let source = holdfast.scratch("estimate");
    files(
        &source,
        &[
            ("a/one", 10),
            ("a/two.tmp", 10),
            ("b/three", 30),
            ("four", 40),
        ],
    );
    let fileset = format!(
        "include = [{}]\nrules = [\"exclude *.tmp\", \"exclude b\"]",
        quoted(&source)
    );
    holdfast.job("estimate", &fileset);
    let estimate = holdfast
        .console()
        .json(["estimate", "estimate", "--list", "1000"]);
    let run = holdfast.backup("estimate", 0);
    for (figure, count) in [
        ("entries", "entries"),
        ("files", "files"),
        ("bytes", "protected_bytes"),
    ] {
        assert_eq!(
            estimate[figure], run["counts"][count],
            "{figure}: {estimate} {run}"
        );
    }
    let listed: Vec<&str> = estimate["paths"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p.as_str())
        .collect();
    let path = |name: &str| source.join(name).to_str().unwrap().to_owned();
    for name in ["a/one", "four"] {
        assert!(listed.contains(&path(name).as_str()), "{listed:?}");
    }
    for name in ["a/two.tmp", "b/three"] {
        assert!(!listed.contains(&path(name).as_str()), "{listed:?}");
    }
}

#[test]
fn holdfasts_own_folders_are_never_saved() {
    let holdfast = Installation::start();
    let source = holdfast.root().parent().unwrap().to_owned();
    std::fs::write(source.join("mine"), "a file beside the installation").unwrap();
    holdfast.job_over("own", &source);
    let run = holdfast.console().run(["run", "own", "--wait", "--json"]);
    assert_ne!(run.code, 2, "{run}");
    let to = holdfast.absent("own");
    holdfast.restore("own", &to);
    let found = listed(&restored(&to, &source));
    assert!(found.contains(&"mine".to_owned()), "{found:?}");
    for own in ["volumes", "director/pg", "state", "pki", "admin.toml"] {
        assert!(
            !found.iter().any(|path| path.contains(own)),
            "{own} was saved: {found:?}"
        );
    }
    let listed = holdfast.console().ok(args![
        "ls",
        format!("{}:{}", holdfast.client_name(), source.display())
    ]);
    assert!(listed.says("mine"));
}
