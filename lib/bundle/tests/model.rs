//! What is put into a bundle comes out of it again, by whatever way it is asked for: compared with a
//! plain map.

use std::collections::BTreeMap;

use lib_bundle::{BuildError, Bundle, BundleBuilder, Entry, EntryKind, sha256};
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq)]
enum Node {
    File { contents: Vec<u8>, executable: bool },
    Directory,
    Symlink { target: String },
}

type Model = BTreeMap<String, (Node, u64)>;

fn node() -> impl Strategy<Value = Node> {
    let len = prop_oneof![0..40_usize, 4090..4100_usize];
    let contents = (len, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    prop_oneof![
        4 => (contents, any::<bool>()).prop_map(|(contents, executable)| Node::File { contents, executable }),
        2 => Just(Node::Directory),
        1 => "[a-z./]{1,20}".prop_map(|target| Node::Symlink { target }),
    ]
}

/// Paths over a small alphabet that includes bytes on both sides of `/`, so that they meet.
fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-c!-]{1,2}|é", 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// Adds to the model what the builder adds by itself; `None` if something would be inside a file.
fn with_parents(model: &Model) -> Option<Model> {
    let mut all = model.clone();
    all.entry("/".into()).or_insert((Node::Directory, 0));
    for path in model.keys() {
        let mut above = parent(path);
        while above != "/" {
            let (node, _) = all.entry(above.into()).or_insert((Node::Directory, 0));
            if *node != Node::Directory {
                return None;
            }
            above = parent(above);
        }
    }
    Some(all)
}

fn build(model: &Model) -> Result<Vec<u8>, BuildError> {
    let mut builder = BundleBuilder::new();
    for (path, (node, mtime_ns)) in model {
        match node {
            Node::File {
                contents,
                executable,
            } => builder.file(path, contents.as_slice(), *mtime_ns, *executable)?,
            Node::Directory => builder.directory(path, *mtime_ns)?,
            Node::Symlink { target } => builder.symlink(path, target, *mtime_ns)?,
        };
    }
    builder.build()
}

fn assert_same(entry: &Entry<'_>, path: &str, node: &Node, mtime_ns: u64) {
    assert_eq!(entry.path(), path);
    assert_eq!(entry.mtime_ns(), mtime_ns);
    let contents = entry.verify().expect("whole contents verify");
    match node {
        Node::File {
            contents: wanted,
            executable,
        } => {
            assert_eq!(entry.kind(), EntryKind::File);
            assert_eq!(
                (contents, entry.is_executable()),
                (wanted.as_slice(), *executable)
            );
            assert_eq!(
                (entry.sha256(), entry.len_bytes()),
                (sha256(&[wanted]), wanted.len() as u64)
            );
            assert!(wanted.len() < 4096 || entry.contents_offset() % 4096 == 0);
        }
        Node::Directory => assert_eq!((entry.kind(), entry.len_bytes()), (EntryKind::Directory, 0)),
        Node::Symlink { target } => assert_eq!(entry.target(), Some(target.as_str())),
    }
}

fn assert_agrees(bundle: &Bundle<'_>, model: &Model, strangers: &[String]) {
    assert_eq!(bundle.entries().len(), model.len());
    for (path, (node, mtime_ns)) in model {
        assert_same(&bundle.get(path).expect("is there"), path, node, *mtime_ns);
        let found: Vec<&str> = bundle.children(path).map(|entry| entry.path()).collect();
        let is_child = |other: &&String| other.as_str() != "/" && parent(other) == path;
        let wanted: Vec<&String> = model.keys().filter(is_child).collect();
        assert_eq!(found, wanted, "children of {path}");
    }
    for path in strangers {
        assert_eq!(
            bundle.get(path).is_some(),
            model.contains_key(path),
            "{path}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_map(
        model in prop::collection::btree_map(path(), (node(), any::<u64>()), 0..30),
        strangers in prop::collection::vec(path(), 20),
    ) {
        let built = build(&model);
        let Some(model) = with_parents(&model) else {
            let refused = matches!(built, Err(BuildError::ParentNotDirectory { .. }));
            prop_assert!(refused);
            return Ok(());
        };
        let bytes = built.expect("a tree");
        assert_agrees(&Bundle::open(&bytes).expect("what was built"), &model, &strangers);
        prop_assert_eq!(build(&model).expect("the same tree"), bytes);
    }
}

#[test]
fn an_empty_bundle_holds_the_root() {
    let bytes = BundleBuilder::new()
        .build()
        .expect("nothing is wrong with nothing");
    let bundle = Bundle::open(&bytes).expect("what was built");
    let root = bundle.get("/").expect("the root");
    assert_eq!(
        (root.name(), root.kind(), bundle.index_len()),
        ("", EntryKind::Directory, bytes.len())
    );
    assert_eq!(
        bundle.children("/").count() + bundle.children("").count(),
        0
    );
}

#[test]
fn odd_spellings_of_a_path_are_absent() {
    let mut builder = BundleBuilder::new();
    builder
        .file("/a/b", b"x".as_slice(), 1, false)
        .expect("a good path");
    let bytes = builder.build().expect("a tree");
    let bundle = Bundle::open(&bytes).expect("what was built");
    for path in [
        "",
        "a",
        "a/b",
        "//",
        "/a/",
        "//a",
        "/a//b",
        "/a/./b",
        "/a/../a/b",
        "/a/b/",
    ] {
        assert!(
            bundle.get(path).is_none() && bundle.children(path).next().is_none(),
            "{path:?}"
        );
    }
}

#[test]
fn the_builder_refuses_what_the_reader_would() {
    let mut builder = BundleBuilder::new();
    let long = format!("/{}", "x".repeat(256));
    let deep = "/x".repeat(2049);
    for path in ["", "a", "/a/", "/a//b", "/.", "/a/..", "/a\0", &long, &deep] {
        assert!(
            matches!(
                builder.directory(path, 0),
                Err(BuildError::WrongPath { .. })
            ),
            "{path:?}"
        );
    }
    assert!(builder.symlink("/l", "", 0).is_err());
    builder.directory("/d", 0).expect("a good path");
    let duplicate = builder.file("/d", b"".as_slice(), 0, false).map(|_| ());
    assert_eq!(duplicate, Err(BuildError::Duplicate { path: "/d".into() }));
}
