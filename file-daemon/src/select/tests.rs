//! Tables of FileSets and paths, speed, and properties.

use common::fileset::{Action, FileSet, Include, Rule};
use common::object::entry::Kind;
use proptest::prelude::*;

use super::*;

fn include(path: &str) -> Include {
    Include {
        path: path.into(),
        ..Include::default()
    }
}

/// Rules as in director.toml: `exclude GLOB`, `exclude regex RE`, `include ...`.
fn rule(line: &str) -> Rule {
    let (action, rest) = line.split_once(' ').unwrap();
    let (glob, regex) = match rest.strip_prefix("regex ") {
        Some(regex) => ("", regex),
        None => (rest, ""),
    };
    Rule {
        action: match action {
            "exclude" => Action::Exclude as i32,
            _ => Action::Include as i32,
        },
        glob: glob.into(),
        regex: regex.into(),
        origin: String::new(),
    }
}

fn fileset(includes: &[&str], rules: &[&str]) -> FileSet {
    FileSet {
        name: "t".into(),
        includes: includes.iter().map(|p| include(p)).collect(),
        rules: rules.iter().map(|r| rule(r)).collect(),
        commands: vec![],
    }
}

fn selector(includes: &[&str], rules: &[&str]) -> Selector {
    Selector::new(&fileset(includes, rules)).unwrap()
}

fn file(size_bytes: u64) -> Facts {
    Facts {
        kind: Kind::File,
        size_bytes,
        nodump: false,
    }
}

/// The verdict a walk from `/` comes to; a final `/` says that the path is a directory.
fn walked(s: &Selector, path: &str) -> Verdict {
    let (path, facts) = match path.strip_suffix('/') {
        Some(path) => (path, Facts::directory()),
        None => (path, file(5)),
    };
    let mut parent = s
        .decide(Verdict::Implied, b"/", &Facts::directory())
        .verdict;
    for (at, _) in path.match_indices('/').skip(1) {
        if parent == Verdict::Exclude {
            return parent;
        }
        parent = s
            .decide(parent, &path.as_bytes()[..at], &Facts::directory())
            .verdict;
    }
    match parent {
        Verdict::Exclude => parent,
        _ => s.decide(parent, path.as_bytes(), &facts).verdict,
    }
}

fn check(includes: &[&str], rules: &[&str], table: &[(&str, Verdict)]) {
    let s = selector(includes, rules);
    for (path, expected) in table {
        assert_eq!(
            walked(&s, path),
            *expected,
            "{path} with {includes:?} {rules:?}"
        );
    }
}

use Verdict::{Exclude as X, Implied as I, Save as S};

#[test]
fn includes_and_the_way_to_them() {
    check(
        &["/home", "/srv/data/"],
        &[],
        &[
            ("/home/", S),
            ("/home/a/b", S),
            ("/homeless", X),
            ("/srv/", I),
            ("/srv/other", X),
            ("/srv/other/", X),
            ("/srv/data/x", S),
            ("/etc/passwd", X),
        ],
    );
    check(&["/"], &[], &[("/etc/passwd", S), ("/home/", S)]);
    let s = selector(&["/home/u", "/srv/a", "/srv/b/c"], &[]);
    assert_eq!(s.names_towards_includes(b"/"), [b"home", &b"srv"[..]]);
    assert_eq!(s.names_towards_includes(b"/srv"), [b"a", &b"b"[..]]);
}

#[test]
fn rules_are_ordered_and_the_first_match_wins() {
    check(
        &["/home"],
        &[
            "include /home/keep.tmp",
            "exclude *.tmp",
            r"exclude regex ^/home/[^/]+/\.cache$",
            "exclude /home/*/big/**",
        ],
        &[
            ("/home/keep.tmp", S),
            ("/home/u/x.tmp", X),
            ("/home/u/x.tmp/deep/y", X),
            ("/home/u/.cache/", X),
            ("/home/u/.cache/file", X),
            ("/home/u/v/.cache/file", S),
            ("/home/u/big/", S),
            ("/home/u/big/file", X),
            ("/home/u/big/deep/file", X),
        ],
    );
}

#[test]
fn a_star_stays_within_a_name_and_a_final_slash_means_directories() {
    check(
        &["/"],
        &[
            "exclude /var/*/log",
            "exclude build/",
            "exclude /opt/**/tmp",
            "exclude [ab]?.bak",
            "exclude **/x/{y,z}",
        ],
        &[
            ("/var/a/log", X),
            ("/var/a/b/log", S),
            ("/src/build/", X),
            ("/src/build/o", X),
            ("/src/build", S),
            ("/opt/tmp", X),
            ("/opt/1/2/tmp", X),
            ("/q/a1.bak", X),
            ("/q/c1.bak", S),
            ("/q/x/z", X),
        ],
    );
}

#[test]
fn an_include_below_an_excluded_directory_is_still_saved() {
    check(
        &["/", "/var/cache/deep/kept"],
        &["exclude /var/cache", "exclude kept"],
        &[
            ("/var/", S),
            ("/var/cache/", I),
            ("/var/cache/file", X),
            ("/var/cache/deep/", I),
            ("/var/cache/deep/other/", X),
            ("/var/cache/deep/kept/", S),
            ("/var/cache/deep/kept/file", S),
            ("/var/cache/deep/kept/kept", X),
        ],
    );
}

/// What docs/filesets.md tells about exceptions from an excluded directory.
#[test]
fn an_exception_needs_its_directory_to_be_entered() {
    let kept = [
        ("/var/cache/important/", S),
        ("/var/cache/important/x/y", S),
        ("/var/cache/other", X),
        ("/var/cache/other/", X),
        ("/var/log/x", S),
    ];
    check(
        &["/var"],
        &[
            "include /var/cache/important",
            "include /var/cache/important/**",
            "exclude /var/cache/**",
        ],
        &kept,
    );
    check(
        &["/var", "/var/cache/important"],
        &["exclude /var/cache"],
        &kept,
    );
    let in_vain = &["include /var/cache/important/**", "exclude /var/cache"];
    check(&["/var"], in_vain, &[("/var/cache/important/x", X)]);
}

#[test]
fn own_folders_are_never_saved_even_when_listed() {
    let s = selector(&["/var/lib/holdfast/storage", "/var"], &["include **"])
        .without_own_folders([b"/var/lib/holdfast/".to_vec()]);
    assert_eq!(walked(&s, "/var/lib/holdfast/"), X);
    assert_eq!(walked(&s, "/var/lib/holdfast/storage/v1"), X);
    assert_eq!(walked(&s, "/var/lib/holdfast2"), S);
}

#[test]
fn limits_and_flags_belong_to_the_nearest_include() {
    let mut set = fileset(&["/a", "/a/b"], &["include *.iso"]);
    set.includes[0].max_size = 10;
    set.includes[0].min_size = 2;
    set.includes[0].honour_nodump = true;
    let s = Selector::new(&set).unwrap();
    let reason = |path: &str, facts: &Facts| s.decide(S, path.as_bytes(), facts).reason;
    assert_eq!(reason("/a/f", &file(11)), Reason::TooLarge);
    assert_eq!(reason("/a/f", &file(1)), Reason::TooSmall);
    assert_eq!(reason("/a/x.iso", &file(11)), Reason::TooLarge);
    assert_eq!(reason("/a/f", &file(10)), Reason::Below(0));
    assert_eq!(reason("/a/b/f", &file(11)), Reason::Below(1));
    let flagged = Facts {
        nodump: true,
        ..file(5)
    };
    assert_eq!(reason("/a/f", &flagged), Reason::NoDump);
    assert_eq!(reason("/a/b/f", &flagged), Reason::Below(1));
    let fifo = Facts {
        kind: Kind::Fifo,
        ..file(0)
    };
    assert_eq!(reason("/a/f", &fifo), Reason::Below(0));
}

#[test]
fn markers_keep_the_directory_and_the_marker_only() {
    let mut set = fileset(&["/a"], &[]);
    set.includes[0].exclude_if_present = vec![".nobackup".into(), ".skip".into()];
    set.includes[0].skip_caches = true;
    let s = Selector::new(&set).unwrap();
    let only = |name: &str, reason| Contents::OnlyMarker {
        name: name.into(),
        reason,
    };
    let with = |names: &'static [&'static str], tag: bool| {
        s.contents(
            b"/a/d",
            &|n| names.iter().any(|x| x.as_bytes() == n),
            &|| tag,
        )
    };
    assert_eq!(
        with(&["x", ".skip"], true),
        only(".skip", Reason::Marker(1))
    );
    assert_eq!(
        with(&["CACHEDIR.TAG"], true),
        only("CACHEDIR.TAG", Reason::CacheDirectory)
    );
    assert_eq!(with(&["CACHEDIR.TAG"], false), Contents::All);
    assert_eq!(with(&["x"], true), Contents::All);
}

#[test]
fn names_are_bytes() {
    let s = selector(&["/a"], &["exclude *.tmp", "exclude regex \\.old$"]);
    assert!(!s.decide(S, b"/a/\xff\xfe.tmp", &file(1)).saves());
    assert!(!s.decide(S, b"/a/\xff\n.old", &file(1)).saves());
    assert!(s.decide(S, b"/a/\xff", &file(1)).saves());
}

#[test]
fn mistakes_name_their_line() {
    let bad = |line: &str| {
        let mut set = fileset(&["/a"], &[line]);
        set.rules[0].origin = "director.toml:7".into();
        Selector::new(&set).unwrap_err().to_string()
    };
    for (line, said) in [
        ("exclude a/b", "write \"/a/b\" or \"**/a/b\""),
        ("exclude [", "glob \"[\" at director.toml:7"),
        ("exclude regex (", "regex \"(\" at director.toml:7"),
        ("exclude ", "director.toml:7 needs exactly one"),
    ] {
        let text = bad(line);
        assert!(text.contains(said), "{line}: {text}");
    }
    for path in ["home", "/a/../b", "/a//b", "/a/./b", ""] {
        assert!(Selector::new(&fileset(&[path], &[])).is_err(), "{path}");
    }
    assert!(Selector::new(&fileset(&["/a", "/a/"], &[])).is_err());
}

#[test]
fn explain_names_the_rule_or_the_directory_that_decides() {
    let mut set = fileset(
        &["/home", "/var/x/y"],
        &[
            "include /home/keep.tmp",
            "exclude *.tmp",
            "exclude /home/u/.cache",
        ],
    );
    set.includes[0].min_size = 100;
    set.rules[1].origin = "director.toml:12".into();
    let s = Selector::new(&set).unwrap();
    for (path, said) in [
        (
            "/home/a.tmp",
            "/home/a.tmp is left out: the first rule that matches is \"exclude *.tmp\" (director.toml:12)",
        ),
        (
            "/home/keep.tmp",
            "/home/keep.tmp is saved: the first rule that matches is \"include /home/keep.tmp\" (rule 1)",
        ),
        (
            "/home/u/.cache/f",
            "because the directory /home/u/.cache above it is: the first rule that matches is \"exclude /home/u/.cache\"",
        ),
        (
            "/home/u/f",
            "is saved: no rule matches, and it is below include /home",
        ),
        ("/home", "/home is saved: it is include /home"),
        (
            "/etc/passwd",
            "because the directory /etc above it is: it is below none",
        ),
    ] {
        let text = s.explain(path.as_bytes(), None);
        assert!(text.contains(said), "{path}: {text}");
    }
    let text = s.explain(b"/var/x", Some(&Facts::directory()));
    assert!(text.contains("bare directory"), "{text}");
    let text = s.explain(b"/home/u/f", Some(&file(5)));
    assert!(text.contains("smaller than min_size"), "{text}");
}

#[test]
fn two_hundred_thousand_decisions_are_quick() {
    let s = selector(&["/"], &[]);
    let paths: Vec<Vec<u8>> = (0..1000)
        .map(|i| format!("/srv/data/project-{i}/src/file-{i}.rs").into_bytes())
        .collect();
    let started = std::time::Instant::now();
    let saved = (0..200)
        .flat_map(|_| &paths)
        .filter(|p| s.decide(S, p, &file(7)).saves())
        .count();
    assert_eq!(saved, 200_000);
    // 100 ms in release; debug builds on a busy machine get ten times that.
    assert!(
        started.elapsed().as_millis() < 1000,
        "{:?}",
        started.elapsed()
    );
}

proptest! {
    /// The sets decide as trying the rules one by one would.
    #[test]
    fn the_first_match_is_the_lowest(
        order in proptest::collection::vec(0usize..6, 0..6),
        path in "/[ab]{1,2}(/[abc.]{1,3}){0,3}",
    ) {
        let all = ["exclude a*", "include *.c", "exclude /a/**", "exclude regex b$", "include **/b", "exclude regex ^/aa?/"];
        prop_assume!(!path.split('/').any(|p| p == "." || p == ".."));
        let lines: Vec<&str> = order.iter().map(|i| all[*i]).collect();
        let s = selector(&["/"], &lines);
        let got = s.decide(S, path.as_bytes(), &file(1)).reason;
        let alone = |line: &str| matches!(
            selector(&["/"], &[line]).decide(S, path.as_bytes(), &file(1)).reason, Reason::Rule(_));
        let expected = lines.iter().position(|l| alone(l)).map_or(Reason::Below(0), Reason::Rule);
        prop_assert_eq!(got, expected);
    }

    /// Any bytes as path: decided or explained, never a panic.
    #[test]
    fn any_path_is_decided(path in proptest::collection::vec(any::<u8>(), 0..40)) {
        let s = selector(&["/a", "/b/c"], &["exclude *.x", "exclude regex y"]);
        let _ = s.decide(S, &path, &file(1));
        let _ = s.explain(&path, None);
    }
}
