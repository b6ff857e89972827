//! The walk against a model: trees as nested maps, differences worked out by hand.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::ids::ChunkId;
use crate::object::attribute::Stat;
use crate::object::link::ChunkRef;
use crate::object::page_builder::{BuiltPage, PageBuilder};

#[derive(Debug, Clone, PartialEq)]
enum Node {
    File(u64),
    Dir {
        mode: u32,
        unfinished: bool,
        below: BTreeMap<String, Node>,
    },
}

#[derive(Default)]
struct Store {
    pages: HashMap<PageId, Bytes>,
    reads: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("absent")]
struct Absent;

impl PageSource for Store {
    type Error = Absent;
    fn page(&mut self, id: PageId) -> Result<Bytes, Absent> {
        self.reads += 1;
        self.pages.get(&id).cloned().ok_or(Absent)
    }
}

impl Store {
    fn put(&mut self, below: &BTreeMap<String, Node>) -> PageId {
        let entries: Vec<Entry> = below
            .iter()
            .map(|(name, node)| self.entry(name, node))
            .collect();
        let mut emit = |p: BuiltPage| -> Result<(), Infallible> {
            self.pages.insert(p.id, p.bytes.into());
            Ok(())
        };
        let mut b = PageBuilder::new();
        entries
            .into_iter()
            .for_each(|e| b.push(e, &mut emit).unwrap());
        b.finish(&mut emit).unwrap()
    }

    fn entry(&mut self, name: &str, node: &Node) -> Entry {
        match node {
            Node::File(v) => {
                let mut e = Entry::new(
                    name.into(),
                    Kind::File,
                    Stat {
                        size: *v,
                        ..Stat::default()
                    },
                );
                if *v > 0 {
                    e.content = Content::Chunks(vec![ChunkRef {
                        id: ChunkId::of(&v.to_le_bytes()),
                        len: 1,
                    }]);
                }
                e
            }
            Node::Dir {
                mode,
                unfinished,
                below,
            } => {
                let mut e = Entry::new(
                    name.into(),
                    Kind::Directory,
                    Stat {
                        mode: *mode,
                        ..Stat::default()
                    },
                );
                e.marks = if *unfinished { marks::UNFINISHED } else { 0 };
                e.content = Content::Directory(self.put(below));
                e
            }
        }
    }
}

/// The walk's steps as lines: `+path`, `~path`, `-path`.
fn lines(store: &mut Store, roots: Roots) -> Vec<String> {
    let mut walk = Walk::new(roots);
    let (mut path, mut last, mut out) = (Vec::<String>::new(), String::new(), Vec::new());
    while let Some(step) = walk.next(store).unwrap() {
        let mut tell = |sign: &str, e: &Entry| {
            last = String::from_utf8(e.name.clone()).unwrap();
            if !sign.is_empty() {
                out.push(
                    path.iter()
                        .chain([&last])
                        .fold(sign.to_string(), |line, part| line + "/" + part),
                );
            }
        };
        match &step {
            Step::Added(e) => tell("+", e),
            Step::Changed { new, .. } => tell("~", new),
            Step::Removed(e) => tell("-", e),
            Step::Same(e) => tell("", e),
            Step::Enter => path.push(last.clone()),
            Step::Leave => drop(path.pop()),
        }
    }
    assert!(path.is_empty());
    out
}

fn model(new: Option<&Node>, base: Option<&Node>, path: &str, out: &mut Vec<String>) {
    let empty = BTreeMap::new();
    match (new, base) {
        (Some(_), None) if !path.is_empty() => out.push(format!("+{path}")),
        (None, Some(_)) => out.push(format!("-{path}")),
        (Some(Node::File(a)), Some(Node::File(b))) if a == b => {}
        (Some(Node::Dir { mode: a, .. }), Some(Node::Dir { mode: b, .. })) if a == b => {}
        (Some(_), Some(_)) => out.push(format!("~{path}")),
        _ => {}
    }
    let below = |n: Option<&Node>| match n {
        Some(Node::Dir { below, .. }) => below.clone(),
        _ => empty.clone(),
    };
    let (n, b) = (below(new), below(base));
    let names: std::collections::BTreeSet<&String> = n.keys().chain(b.keys()).collect();
    for name in names {
        model(n.get(name), b.get(name), &format!("{path}/{name}"), out);
    }
}

fn root(node: &Node) -> &BTreeMap<String, Node> {
    match node {
        Node::Dir { below, .. } => below,
        Node::File(_) => panic!("a root is a directory"),
    }
}

fn tree() -> impl Strategy<Value = Node> {
    let leaf = (0u64..3).prop_map(Node::File);
    let node = leaf.prop_recursive(4, 60, 6, |inner| {
        (0u32..2, prop::collection::btree_map("[a-d]", inner, 0..4)).prop_map(|(mode, below)| {
            Node::Dir {
                mode,
                unfinished: false,
                below,
            }
        })
    });
    prop::collection::btree_map("[a-d]", node, 0..4).prop_map(|below| Node::Dir {
        mode: 0,
        unfinished: false,
        below,
    })
}

/// A checkpoint of `node`: the first `keep` entries (counted depth first) are finished, everything after is not there.
fn cut(node: &Node, keep: &mut usize) -> Node {
    let Node::Dir { mode, below, .. } = node else {
        return node.clone();
    };
    let mut kept = BTreeMap::new();
    for (name, child) in below {
        if *keep == 0 {
            return Node::Dir {
                mode: *mode,
                unfinished: true,
                below: kept,
            };
        }
        *keep -= 1;
        kept.insert(name.clone(), cut(child, keep));
    }
    // A directory is open as long as one below it is.
    let unfinished = kept.values().any(is_unfinished);
    Node::Dir {
        mode: *mode,
        unfinished,
        below: kept,
    }
}

fn is_unfinished(node: &Node) -> bool {
    matches!(
        node,
        Node::Dir {
            unfinished: true,
            ..
        }
    )
}

proptest! {
    #[test]
    fn the_difference_of_two_trees_is_the_models(new in tree(), base in tree()) {
        let mut store = Store::default();
        let (n, b) = (store.put(root(&new)), store.put(root(&base)));
        let mut want = Vec::new();
        model(Some(&new), Some(&base), "", &mut want);
        want.retain(|l| l != "~");
        let roots = Roots { new: Some(n), base: Some(b), ..Roots::default() };
        prop_assert_eq!(lines(&mut store, roots), want);
    }

    #[test]
    fn what_a_checkpoint_told_is_told_once(new in tree(), base in tree(), keep in 0usize..30) {
        let mut store = Store::default();
        let half = cut(&new, &mut keep.clone());
        let (n, b, h) = (store.put(root(&new)), store.put(root(&base)), store.put(root(&half)));
        let unfinished = is_unfinished(&half);
        let first = lines(&mut store, Roots { new: Some(h), base: Some(b), unfinished, ..Roots::default() });
        let second = lines(&mut store, Roots { new: Some(n), base: Some(b), done: Some(h), done_unfinished: unfinished, ..Roots::default() });
        let mut got = [first, second].concat();
        let mut want = Vec::new();
        model(Some(&new), Some(&base), "", &mut want);
        want.retain(|l| l != "~");
        got.sort();
        want.sort();
        prop_assert_eq!(got, want);
    }
}

#[test]
fn equal_pages_of_a_large_directory_are_not_read() {
    let mut below: BTreeMap<String, Node> = (0..20_000)
        .map(|n| (format!("f{n:06}"), Node::File(n)))
        .collect();
    let mut store = Store::default();
    let base = store.put(&below);
    below.insert("f010000".into(), Node::File(7));
    below.remove("f015000");
    let new = store.put(&below);
    let total = store.pages.len();
    store.reads = 0;
    let got = lines(
        &mut store,
        Roots {
            new: Some(new),
            base: Some(base),
            ..Roots::default()
        },
    );
    assert_eq!(got, ["~/f010000", "-/f015000"]);
    assert!(
        total > 80 && store.reads < 16,
        "{} of {total} pages read",
        store.reads
    );
}

#[test]
fn deep_trees_do_not_need_a_deep_stack_and_prune_leaves_out() {
    let mut store = Store::default();
    let mut page = store.put(&BTreeMap::from([("f".into(), Node::File(1))]));
    for _ in 0..5_000 {
        let mut e = Entry::new(b"d".to_vec(), Kind::Directory, Stat::default());
        e.content = Content::Directory(page);
        let bytes = crate::object::page::encode_leaf(&[e]);
        page = PageId::of(&bytes);
        store.pages.insert(page, bytes.into());
    }
    assert_eq!(
        lines(
            &mut store,
            Roots {
                new: Some(page),
                ..Roots::default()
            }
        )
        .len(),
        5_001
    );
    let mut walk = Walk::reach(page);
    assert!(matches!(
        walk.next(&mut store).unwrap(),
        Some(Step::Added(_))
    ));
    assert!(walk.will_enter());
    walk.prune();
    assert_eq!(walk.next(&mut store).unwrap(), None);
}

#[test]
fn a_missing_page_is_an_error_and_the_walk_can_go_on_after_it() {
    let mut store = Store::default();
    let below = BTreeMap::from([
        (
            "a".to_string(),
            Node::Dir {
                mode: 0,
                unfinished: false,
                below: BTreeMap::from([("x".into(), Node::File(1))]),
            },
        ),
        ("b".to_string(), Node::File(2)),
    ]);
    let top = store.put(&below);
    let lost = store.put(&BTreeMap::from([("x".into(), Node::File(1))]));
    store.pages.remove(&lost);
    let mut walk = Walk::reach(top);
    assert!(matches!(
        walk.next(&mut store).unwrap(),
        Some(Step::Added(_))
    ));
    assert_eq!(walk.next(&mut store).unwrap(), Some(Step::Enter));
    assert_eq!(walk.next(&mut store).unwrap_err().page(), lost);
    walk.abandon();
    assert_eq!(walk.next(&mut store).unwrap(), Some(Step::Leave));
    assert!(matches!(walk.next(&mut store).unwrap(), Some(Step::Added(e)) if e.name == b"b"));
}
