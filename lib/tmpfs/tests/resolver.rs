//! The path resolver against a naive model: nodes by their full paths, and a path as a list of words that links are
//! spliced into. Trees, links and paths are random and hostile: out of the base, round in circles, through files.

use std::collections::BTreeMap;
use std::sync::Arc;

use lib_tmpfs::{
    Error, Follow, NAME_MAX_BYTES, NodeId, PATH_MAX_BYTES, Resolved, SYMLINKS_MAX, Timestamp,
    Tmpfs, Unlimited,
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp {
    seconds: 1,
    nanoseconds: 0,
};

/// What a path leads to, by full paths: the model's own answer, and what is made of the resolver's.
#[derive(Debug, PartialEq)]
enum Found {
    Unnamed(Vec<String>),
    Entry {
        parent: Vec<String>,
        name: String,
        there: bool,
        directory_required: bool,
    },
}

#[derive(Clone, Debug)]
enum Kind {
    Directory,
    File,
    Link(String),
}

/// One entry to be made: in which of the directories made so far, under which name.
#[derive(Clone, Debug)]
struct Make {
    parent: usize,
    name: String,
    kind: Kind,
}

/// The tree of the test and the model of it. The base is the directory `base`; beside it lies a secret.
struct World {
    tree: Tmpfs,
    base: NodeId,
    /// Everything below the base, by its path from there; the base itself is the empty path.
    nodes: BTreeMap<Vec<String>, (Kind, NodeId)>,
}

impl World {
    fn new(makes: &[Make]) -> Self {
        let mut tree = Tmpfs::new(Arc::new(Unlimited), NOW).unwrap();
        let root = tree.root();
        tree.create_file(root, "a", NOW).unwrap();
        tree.create_directory(root, "b", NOW).unwrap();
        let base = tree.create_directory(root, "base", NOW).unwrap();
        let nodes = BTreeMap::from([(Vec::new(), (Kind::Directory, base))]);
        let mut world = Self { tree, base, nodes };
        makes.iter().for_each(|make| world.make(make));
        world
    }

    fn make(&mut self, make: &Make) {
        let is_directory =
            |entry: &(&Vec<String>, &(Kind, NodeId))| matches!(entry.1.0, Kind::Directory);
        let directories: Vec<_> = self.nodes.iter().filter(is_directory).collect();
        let (parent_path, (_, parent)) = directories[make.parent % directories.len()];
        let (tree, name) = (&mut self.tree, make.name.as_str());
        let made = match &make.kind {
            Kind::Directory => tree.create_directory(*parent, name, NOW),
            Kind::File => tree.create_file(*parent, name, NOW),
            Kind::Link(target) => tree.create_symlink(*parent, name, target, NOW),
        };
        // A name that is taken, or a target that no link can have.
        let Ok(node) = made else { return };
        let path = [parent_path.clone(), vec![make.name.clone()]].concat();
        self.nodes.insert(path, (make.kind.clone(), node));
    }

    /// The resolver's answer by full paths. A node outside of the base has none and fails the test.
    fn resolve(&self, path: &str, follow: Follow) -> Result<Found, Error> {
        let path_of = |wanted: NodeId| {
            let found = self.nodes.iter().find(|(_, (_, node))| *node == wanted);
            found
                .expect("nothing outside of the base is found")
                .0
                .clone()
        };
        Ok(match self.tree.resolve(self.base, path, follow)? {
            Resolved::Unnamed(node) => Found::Unnamed(path_of(node)),
            Resolved::Entry {
                parent,
                name,
                node,
                directory_required,
            } => {
                let parent = path_of(parent);
                let entry = [parent.clone(), vec![name.to_string()]].concat();
                assert_eq!(node.map(path_of), node.map(|_| entry));
                Found::Entry {
                    parent,
                    name: name.into(),
                    there: node.is_some(),
                    directory_required,
                }
            }
        })
    }

    fn model(&self, path: &str, follow: Follow) -> Result<Found, Error> {
        let mut words = words(path)?;
        let mut at: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(word) = take(&mut words) {
            if word == "." {
                continue;
            }
            if word == ".." {
                at.pop().ok_or(Error::Escapes)?;
                continue;
            }
            if word.len() > NAME_MAX_BYTES {
                return Err(Error::NameTooLong);
            }
            let last = words.iter().all(String::is_empty);
            let directory_required = last && !words.is_empty();
            let here = [at.clone(), vec![word.clone()]].concat();
            match self.nodes.get(&here).map(|(kind, _)| kind) {
                None if !last => return Err(Error::NotFound),
                Some(Kind::Link(target))
                    if !last || directory_required || follow == Follow::Last =>
                {
                    links += 1;
                    if links > SYMLINKS_MAX {
                        return Err(Error::SymlinkLoop);
                    }
                    words.splice(0..0, self::words(target)?);
                    continue;
                }
                Some(Kind::Directory) if !last => {
                    at = here;
                    continue;
                }
                Some(_) if !last => return Err(Error::NotADirectory),
                Some(Kind::File | Kind::Link(_)) if directory_required => {
                    return Err(Error::NotADirectory);
                }
                there => {
                    return Ok(Found::Entry {
                        parent: at,
                        name: word,
                        there: there.is_some(),
                        directory_required,
                    });
                }
            }
        }
        Ok(Found::Unnamed(at))
    }
}

/// The next word that is not empty.
fn take(words: &mut Vec<String>) -> Option<String> {
    let next = words.iter().position(|word| !word.is_empty())?;
    words.drain(..=next).next_back()
}

/// A path's words; a slash at its end is an empty word.
fn words(path: &str) -> Result<Vec<String>, Error> {
    if path.is_empty() {
        return Err(Error::NotFound);
    }
    if path.contains('\0') {
        return Err(Error::InvalidName);
    }
    if path.len() > PATH_MAX_BYTES {
        return Err(Error::NameTooLong);
    }
    if path.starts_with('/') {
        return Err(Error::Escapes);
    }
    let mut words: Vec<String> = path.split('/').map(str::to_owned).collect();
    let ends_in_slash = path.ends_with('/');
    words.retain(|word| !word.is_empty());
    words.extend(ends_in_slash.then(String::new));
    Ok(words)
}

/// Paths of few names, so that they meet what is there, with oddities among them.
fn path() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        12 => "[a-d]",
        3 => Just("..".to_owned()),
        2 => Just(".".to_owned()),
        1 => Just(String::new()),
        1 => Just("base".to_owned()),
        1 => prop_oneof![Just("x".repeat(NAME_MAX_BYTES)), Just("x".repeat(NAME_MAX_BYTES + 1)), Just("a\0".to_owned())],
    ];
    let words = prop::collection::vec(word, 0..7).prop_map(|words| words.join("/"));
    prop_oneof![
        30 => words,
        1 => (1..3000usize).prop_map(|count| "a/".repeat(count)),
        1 => (1..3000usize).prop_map(|count| "./".repeat(count)),
    ]
}

fn make() -> impl Strategy<Value = Make> {
    let kind = prop_oneof![
        3 => Just(Kind::Directory),
        1 => Just(Kind::File),
        3 => path().prop_map(Kind::Link),
    ];
    (0..8usize, "[a-d]", kind).prop_map(|(parent, name, kind)| Make { parent, name, kind })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_path_leads_where_the_model_says(
        makes in prop::collection::vec(make(), 0..16),
        paths in prop::collection::vec(path(), 1..16),
    ) {
        let world = World::new(&makes);
        for path in &paths {
            for follow in [Follow::Last, Follow::AllButLast] {
                prop_assert_eq!(world.resolve(path, follow), world.model(path, follow), "{:?}", path);
            }
        }
    }
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let mut tree = Tmpfs::new(Arc::new(Unlimited), NOW).unwrap();
    let root = tree.root();
    tree.create_file(root, "l0", NOW).unwrap();
    for number in 1..=SYMLINKS_MAX + 1 {
        let target = format!("l{}", number - 1);
        tree.create_symlink(root, &format!("l{number}"), &target, NOW)
            .unwrap();
    }
    let found = |name: u32| {
        tree.resolve(root, &format!("l{name}"), Follow::Last)
            .map(|found| found.node().is_ok())
    };
    assert_eq!(found(SYMLINKS_MAX), Ok(true));
    assert_eq!(found(SYMLINKS_MAX + 1), Err(Error::SymlinkLoop));
}
