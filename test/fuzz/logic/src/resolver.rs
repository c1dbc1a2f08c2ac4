//! From paths to nodes, against a naive model: nodes by their full paths, a path as a list of words that links are spliced into.
//!
//! Law: resolver and model agree on every path, whatever the tree, the base and the ceiling are; so nothing outside of base and
//! ceiling is ever reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use lib_tmpfs::{
    Error, Follow, NAME_MAX_BYTES, NodeId, PATH_MAX_BYTES, Resolved, SYMLINKS_MAX, Timestamp,
    Tmpfs, Unlimited,
};
use test_fuzz::{Input, Subject, Target, Verdict, same};

pub const TARGET: Target = Target {
    name: "resolver",
    cases: 40_000,
    len_bytes_max: 512,
    defect: "a resolver that lets every path climb to the root",
    try_input,
};

const NOW: Timestamp = Timestamp {
    seconds: 1,
    nanoseconds: 0,
};
/// Directories that are always there; the base is one of them, and the ceiling.
const SKELETON: [&[&str]; 5] = [&["a"], &["a", "b"], &["a", "b", "a"], &["b"], &["b", "c"]];
const MAKES_MAX: usize = 16;
const PATHS_MAX: usize = 8;

type Path = Vec<String>;

/// What a path leads to, by full paths.
#[derive(Debug, PartialEq)]
enum Found {
    Unnamed(Path),
    Entry {
        parent: Path,
        name: String,
        is_there: bool,
        directory_required: bool,
    },
}

#[derive(Clone, Debug)]
enum Kind {
    Directory,
    File,
    Link(String),
}

/// The tree and the model of it.
struct World {
    tree: Tmpfs,
    /// Every node by its full path; the root's is empty.
    nodes: BTreeMap<Path, (Kind, NodeId)>,
    base: Path,
    ceiling: Option<Path>,
}

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let world = World::new(&mut input).map_err(|error| format!("no tree: {error}"))?;
    for _ in 0..PATHS_MAX {
        let path = path(&mut input);
        let follow = input.one_of(&[Follow::Last, Follow::AllButLast]);
        let what = format!("{path:?} from {:?} below {:?}", world.base, world.ceiling);
        same(
            &what,
            world.resolve(subject, &path, follow)?,
            world.model(&path, follow),
        )?;
        if input.is_empty() {
            break;
        }
    }
    Ok(())
}

impl World {
    fn new(input: &mut Input<'_>) -> Result<Self, Error> {
        let tree = Tmpfs::new(Arc::new(Unlimited), NOW)?;
        let root = (Kind::Directory, tree.root());
        let mut world = Self {
            tree,
            nodes: BTreeMap::from([(Path::new(), root)]),
            base: Path::new(),
            ceiling: None,
        };
        for words in SKELETON {
            let words: Path = words.iter().map(|&word| word.to_owned()).collect();
            world.make(&words, Kind::Directory)?;
        }
        world.base = world.directory(input);
        world.ceiling = (!input.one_in(3)).then(|| world.directory(input));
        for _ in 0..input.below(MAKES_MAX) {
            world.make_something(input);
        }
        Ok(world)
    }

    fn directory(&self, input: &mut Input<'_>) -> Path {
        let directories = self
            .nodes
            .iter()
            .filter(|(_, (kind, _))| matches!(kind, Kind::Directory));
        let directories: Vec<_> = directories.map(|(path, _)| path).collect();
        directories[input.below(directories.len())].clone()
    }

    fn make_something(&mut self, input: &mut Input<'_>) {
        let mut path = self.directory(input);
        path.push(input.one_of(&["a", "b", "c", "d"]).to_owned());
        let kind = match input.below(6) {
            0..=1 => Kind::Directory,
            2 => Kind::File,
            _ => Kind::Link(self::path(input)),
        };
        // A name that is taken, or a target that no link can have: then there is one entry less.
        let _made = self.make(&path, kind);
    }

    fn make(&mut self, path: &[String], kind: Kind) -> Result<(), Error> {
        let (name, parent) = path.split_last().ok_or(Error::NotFound)?;
        let parent = self.nodes.get(parent).ok_or(Error::NotFound)?.1;
        let tree = &mut self.tree;
        let node = match &kind {
            Kind::Directory => tree.create_directory(parent, name, NOW),
            Kind::File => tree.create_file(parent, name, NOW),
            Kind::Link(target) => tree.create_symlink(parent, name, target, NOW),
        }?;
        self.nodes.insert(path.to_vec(), (kind, node));
        Ok(())
    }

    fn node(&self, path: &[String]) -> NodeId {
        self.nodes[path].1
    }

    fn path_of(&self, wanted: NodeId) -> Result<Path, String> {
        let found = self.nodes.iter().find(|(_, (_, node))| *node == wanted);
        let found = found.ok_or("a node was found that nobody made")?;
        Ok(found.0.clone())
    }

    /// The resolver's answer by full paths; the outer error is a broken law.
    fn resolve(
        &self,
        subject: Subject,
        path: &str,
        follow: Follow,
    ) -> Result<Result<Found, Error>, String> {
        let ceiling = match subject {
            Subject::Real => self.ceiling.as_deref().map(|path| self.node(path)),
            Subject::Spoiled => Some(self.tree.root()),
        };
        let base = self.node(&self.base);
        match self.tree.resolve_below(ceiling, base, path, follow) {
            Err(error) => Ok(Err(error)),
            Ok(Resolved::Unnamed(node)) => Ok(Ok(Found::Unnamed(self.path_of(node)?))),
            Ok(Resolved::Entry {
                parent,
                name,
                node,
                directory_required,
            }) => {
                let parent = self.path_of(parent)?;
                let entry = [parent.clone(), vec![name.to_string()]].concat();
                let node = node.map(|node| self.path_of(node)).transpose()?;
                same("the entry's node", &node, &node.as_ref().map(|_| entry))?;
                Ok(Ok(Found::Entry {
                    parent,
                    name: name.into(),
                    is_there: node.is_some(),
                    directory_required,
                }))
            }
        }
    }

    fn model(&self, path: &str, follow: Follow) -> Result<Found, Error> {
        let mut words = words(path)?;
        let mut at = self.base.clone();
        let mut links = 0;
        while let Some(word) = take(&mut words) {
            match word.as_str() {
                "." => continue,
                ".." => {
                    self.check_ascent(&at)?;
                    at.pop();
                    continue;
                }
                _ if word.len() > NAME_MAX_BYTES => return Err(Error::NameTooLong),
                _ => {}
            }
            let is_last = words.iter().all(String::is_empty);
            let directory_required = is_last && !words.is_empty();
            let is_followed = !is_last || directory_required || follow == Follow::Last;
            let here = [at.clone(), vec![word.clone()]].concat();
            match self.nodes.get(&here).map(|(kind, _)| kind) {
                None if !is_last => return Err(Error::NotFound),
                Some(Kind::Link(target)) if is_followed => {
                    links += 1;
                    if links > SYMLINKS_MAX {
                        return Err(Error::SymlinkLoop);
                    }
                    words.splice(0..0, self::words(target)?);
                }
                Some(Kind::Directory) if !is_last => at = here,
                Some(_) if !is_last => return Err(Error::NotADirectory),
                Some(Kind::File | Kind::Link(_)) if directory_required => {
                    return Err(Error::NotADirectory);
                }
                there => {
                    return Ok(Found::Entry {
                        parent: at,
                        name: word,
                        is_there: there.is_some(),
                        directory_required,
                    });
                }
            }
        }
        Ok(Found::Unnamed(at))
    }

    /// Whether `..` may lead out of `at`.
    fn check_ascent(&self, at: &[String]) -> Result<(), Error> {
        let is_below = |above: &[String]| at.len() > above.len() && at.starts_with(above);
        let is_allowed = is_below(&self.base) || self.ceiling.as_deref().is_some_and(is_below);
        if is_allowed {
            Ok(())
        } else {
            Err(Error::Escapes)
        }
    }
}

/// The next word that is not empty.
fn take(words: &mut Path) -> Option<String> {
    let next = words.iter().position(|word| !word.is_empty())?;
    words.drain(..=next).next_back()
}

/// A path's words; a slash at its end is an empty word.
fn words(path: &str) -> Result<Path, Error> {
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
    let mut words: Path = path.split('/').map(str::to_owned).collect();
    let ends_in_slash = path.ends_with('/');
    words.retain(|word| !word.is_empty());
    words.extend(ends_in_slash.then(String::new));
    Ok(words)
}

/// A path of few names, so that they meet what is there, with oddities among them.
fn path(input: &mut Input<'_>) -> String {
    let word = |input: &mut Input<'_>| match input.below(24) {
        0..=3 => "a".to_owned(),
        4..=7 => "b".to_owned(),
        8..=10 => "c".to_owned(),
        11..=13 => "d".to_owned(),
        14..=18 => "..".to_owned(),
        19 => ".".to_owned(),
        20 => String::new(),
        21 => "x".repeat(NAME_MAX_BYTES + input.below(2)),
        22 => String::from_utf8_lossy(input.bytes(2)).into_owned(),
        _ => "../".repeat(input.below(8)),
    };
    if input.one_in(64) {
        return "a/".repeat(input.below(3000));
    }
    let count = input.below(7);
    let words: Vec<_> = (0..count).map(|_| word(input)).collect();
    words.join("/")
}
