//! A tree against a naive model: nodes in a list, files as flat bytes, names in maps, every rule spelt out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lib_tmpfs::{Charge, Error, Kind, NodeId, Refused, Timestamp, Tmpfs};
use proptest::prelude::*;

/// Counts what is reserved, with a limit.
#[derive(Default)]
struct Account {
    used: AtomicU64,
    limit: u64,
}

impl Charge for Account {
    fn reserve(&self, bytes: u64) -> Result<(), Refused> {
        let used = self.used.load(Ordering::Relaxed);
        if used + bytes > self.limit {
            return Err(Refused);
        }
        self.used.store(used + bytes, Ordering::Relaxed);
        Ok(())
    }
    fn release(&self, bytes: u64) {
        let used = self.used.load(Ordering::Relaxed);
        assert!(used >= bytes, "more is released than was reserved");
        self.used.store(used - bytes, Ordering::Relaxed);
    }
}

fn account(limit: u64) -> Arc<Account> {
    Arc::new(Account {
        used: AtomicU64::new(0),
        limit,
    })
}

const NOW: Timestamp = Timestamp {
    seconds: 1,
    nanoseconds: 0,
};
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Directories and files are named by the order in which they were made; a step's number picks one.
#[derive(Debug, Clone)]
enum Step {
    CreateFile(usize, usize),
    CreateDirectory(usize, usize),
    CreateSymlink(usize, usize),
    Link(usize, usize, usize),
    Unlink(usize, usize),
    RemoveDirectory(usize, usize),
    Rename(usize, usize, usize, usize),
    Write(usize, u64, Vec<u8>),
    SetLen(usize, u64),
    Read(usize, u64, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0usize..12;
    let name = 0..NAMES.len();
    // Around the borders of chunks, and within the first.
    let offset = prop_oneof![0u64..40, 65_500u64..65_600, 131_000u64..131_100];
    let bytes = prop::collection::vec(any::<u8>(), 0..100);
    prop_oneof![
        3 => (node.clone(), name.clone()).prop_map(|(n, m)| Step::CreateFile(n, m)),
        3 => (node.clone(), name.clone()).prop_map(|(n, m)| Step::CreateDirectory(n, m)),
        1 => (node.clone(), name.clone()).prop_map(|(n, m)| Step::CreateSymlink(n, m)),
        2 => (node.clone(), node.clone(), name.clone()).prop_map(|(n, p, m)| Step::Link(n, p, m)),
        2 => (node.clone(), name.clone()).prop_map(|(n, m)| Step::Unlink(n, m)),
        2 => (node.clone(), name.clone()).prop_map(|(n, m)| Step::RemoveDirectory(n, m)),
        4 => (node.clone(), name.clone(), node.clone(), name)
            .prop_map(|(n, m, p, o)| Step::Rename(n, m, p, o)),
        4 => (node.clone(), offset.clone(), bytes).prop_map(|(n, o, b)| Step::Write(n, o, b)),
        2 => (node.clone(), offset.clone()).prop_map(|(n, o)| Step::SetLen(n, o)),
        3 => (node, offset, 0usize..200).prop_map(|(n, o, l)| Step::Read(n, o, l)),
    ]
}

#[derive(Debug)]
enum Body {
    Directory(BTreeMap<String, usize>),
    File(Vec<u8>),
    Symlink(String),
}

/// Nodes are never freed here: what has no name left is `links == 0`.
struct Model {
    nodes: Vec<(Body, u32)>,
}

impl Model {
    fn new() -> Self {
        Self {
            nodes: vec![(Body::Directory(BTreeMap::new()), 1)],
        }
    }

    /// A node by a step's number, if it has a name.
    fn alive(&self, number: usize) -> usize {
        let alive: Vec<usize> = (0..self.nodes.len())
            .filter(|n| self.nodes[*n].1 > 0)
            .collect();
        alive[number % alive.len()]
    }

    fn entries(&self, node: usize) -> Result<&BTreeMap<String, usize>, Error> {
        match &self.nodes[node].0 {
            Body::Directory(entries) => Ok(entries),
            _ => Err(Error::NotADirectory),
        }
    }

    fn entries_mut(&mut self, node: usize) -> &mut BTreeMap<String, usize> {
        match &mut self.nodes[node].0 {
            Body::Directory(entries) => entries,
            _ => panic!("checked by the caller"),
        }
    }

    fn create(&mut self, parent: usize, name: &str, body: Body) -> Result<usize, Error> {
        if self.entries(parent)?.contains_key(name) {
            return Err(Error::Exists);
        }
        self.nodes.push((body, 1));
        let node = self.nodes.len() - 1;
        self.entries_mut(parent).insert(name.into(), node);
        Ok(node)
    }

    fn lookup(&self, parent: usize, name: &str) -> Result<usize, Error> {
        self.entries(parent)?
            .get(name)
            .copied()
            .ok_or(Error::NotFound)
    }

    fn link(&mut self, node: usize, parent: usize, name: &str) -> Result<(), Error> {
        if self.entries(node).is_ok() {
            return Err(Error::IsADirectory);
        }
        if self.entries(parent)?.contains_key(name) {
            return Err(Error::Exists);
        }
        self.entries_mut(parent).insert(name.into(), node);
        self.nodes[node].1 += 1;
        Ok(())
    }

    fn unlink(&mut self, parent: usize, name: &str) -> Result<(), Error> {
        let node = self.lookup(parent, name)?;
        if self.entries(node).is_ok() {
            return Err(Error::IsADirectory);
        }
        self.entries_mut(parent).remove(name);
        self.nodes[node].1 -= 1;
        Ok(())
    }

    fn remove_directory(&mut self, parent: usize, name: &str) -> Result<(), Error> {
        let node = self.lookup(parent, name)?;
        if !self.entries(node)?.is_empty() {
            return Err(Error::NotEmpty);
        }
        self.entries_mut(parent).remove(name);
        self.nodes[node].1 -= 1;
        Ok(())
    }

    /// Whether `inner` is `outer` or can be reached from it.
    fn reaches(&self, outer: usize, inner: usize) -> bool {
        outer == inner
            || self
                .entries(outer)
                .is_ok_and(|entries| entries.values().any(|next| self.reaches(*next, inner)))
    }

    fn rename(&mut self, from: usize, name: &str, to: usize, new: &str) -> Result<(), Error> {
        let moved = self.lookup(from, name)?;
        let old = match self.lookup(to, new) {
            Ok(node) if node == moved => return Ok(()),
            Ok(node) => Some(node),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        let directory = self.entries(moved).is_ok();
        if directory && self.reaches(moved, to) {
            return Err(Error::IntoItself);
        }
        if let Some(old) = old {
            match (self.entries(old), directory) {
                (Ok(_), false) => return Err(Error::IsADirectory),
                (Err(_), true) => return Err(Error::NotADirectory),
                (Ok(entries), true) if !entries.is_empty() => return Err(Error::NotEmpty),
                _ => self.nodes[old].1 -= 1,
            }
        }
        self.entries_mut(from).remove(name);
        self.entries_mut(to).insert(new.into(), moved);
        Ok(())
    }

    fn file(&mut self, node: usize) -> Result<&mut Vec<u8>, Error> {
        match &mut self.nodes[node].0 {
            Body::File(bytes) => Ok(bytes),
            Body::Directory(_) => Err(Error::IsADirectory),
            Body::Symlink(_) => Err(Error::NotAFile),
        }
    }

    fn write(&mut self, node: usize, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        let file = self.file(node)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let end = offset as usize + bytes.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[offset as usize..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn read(&mut self, node: usize, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let file = self.file(node)?;
        let start = file.len().min(offset as usize);
        let end = file.len().min(start + len);
        Ok(file[start..end].to_vec())
    }
}

/// The tree and the model side by side, and which node is which.
struct Pair {
    tree: Tmpfs,
    model: Model,
    ids: Vec<NodeId>,
}

impl Pair {
    fn new(charge: Arc<Account>) -> Self {
        let tree = Tmpfs::new(charge, NOW).unwrap();
        let ids = vec![tree.root()];
        Self {
            tree,
            model: Model::new(),
            ids,
        }
    }

    fn created(
        &mut self,
        real: Result<NodeId, Error>,
        expected: Result<usize, Error>,
    ) -> Result<(), TestCaseError> {
        prop_assert_eq!(real.map(|_| ()), expected.map(|_| ()));
        if let Ok(id) = real {
            self.ids.push(id);
        }
        Ok(())
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let pick = |pair: &Self, number| {
            let node = pair.model.alive(number);
            (node, pair.ids[node])
        };
        match step {
            Step::CreateFile(parent, name) => {
                let (parent, id) = pick(self, parent);
                let real = self.tree.create_file(id, NAMES[name], NOW);
                let expected = self.model.create(parent, NAMES[name], Body::File(vec![]));
                self.created(real, expected)?;
            }
            Step::CreateDirectory(parent, name) => {
                let (parent, id) = pick(self, parent);
                let real = self.tree.create_directory(id, NAMES[name], NOW);
                let body = Body::Directory(BTreeMap::new());
                let expected = self.model.create(parent, NAMES[name], body);
                self.created(real, expected)?;
            }
            Step::CreateSymlink(parent, name) => {
                let (parent, id) = pick(self, parent);
                let real = self.tree.create_symlink(id, NAMES[name], "a/b", NOW);
                let body = Body::Symlink("a/b".into());
                let expected = self.model.create(parent, NAMES[name], body);
                self.created(real, expected)?;
            }
            Step::Link(node, parent, name) => {
                let ((node, id), (parent, parent_id)) = (pick(self, node), pick(self, parent));
                let real = self.tree.link(id, parent_id, NAMES[name], NOW);
                prop_assert_eq!(real, self.model.link(node, parent, NAMES[name]));
            }
            Step::Unlink(parent, name) => {
                let (parent, id) = pick(self, parent);
                let real = self.tree.unlink(id, NAMES[name], NOW);
                prop_assert_eq!(real, self.model.unlink(parent, NAMES[name]));
            }
            Step::RemoveDirectory(parent, name) => {
                let (parent, id) = pick(self, parent);
                let real = self.tree.remove_directory(id, NAMES[name], NOW);
                prop_assert_eq!(real, self.model.remove_directory(parent, NAMES[name]));
            }
            Step::Rename(from, name, to, new) => {
                let ((from, from_id), (to, to_id)) = (pick(self, from), pick(self, to));
                let real = self
                    .tree
                    .rename(from_id, NAMES[name], to_id, NAMES[new], NOW);
                prop_assert_eq!(real, self.model.rename(from, NAMES[name], to, NAMES[new]));
            }
            Step::Write(node, offset, bytes) => {
                let (node, id) = pick(self, node);
                let real = self.tree.write(id, offset, &bytes, NOW);
                prop_assert_eq!(real, self.model.write(node, offset, &bytes));
            }
            Step::SetLen(node, len) => {
                let (node, id) = pick(self, node);
                let expected = self
                    .model
                    .file(node)
                    .map(|file| file.resize(len as usize, 0));
                prop_assert_eq!(self.tree.set_len(id, len, NOW), expected);
            }
            Step::Read(node, offset, len) => {
                let (node, id) = pick(self, node);
                let mut buffer = vec![0xaa; len];
                let real = self.tree.read(id, offset, &mut buffer);
                let real = real.map(|count| buffer[..count].to_vec());
                prop_assert_eq!(real, self.model.read(node, offset, len));
            }
        }
        Ok(())
    }

    /// Everything that can be seen is the same.
    fn compare(&mut self) -> Result<(), TestCaseError> {
        for node in 0..self.ids.len() {
            let (id, links) = (self.ids[node], self.model.nodes[node].1);
            if links == 0 {
                prop_assert_eq!(self.tree.stat(id), Err(Error::NotFound));
                continue;
            }
            let stat = self.tree.stat(id).unwrap();
            prop_assert_eq!(stat.links, links);
            match &self.model.nodes[node].0 {
                Body::Directory(entries) => {
                    let mut seen = BTreeMap::new();
                    let mut last: Option<String> = None;
                    while let Some(entry) = self.tree.entry_after(id, last.as_deref()).unwrap() {
                        seen.insert(entry.name.to_owned(), entry.node);
                        last = Some(entry.name.to_owned());
                    }
                    let expected: BTreeMap<String, NodeId> = entries
                        .iter()
                        .map(|(name, child)| (name.clone(), self.ids[*child]))
                        .collect();
                    prop_assert_eq!(seen, expected);
                }
                Body::File(bytes) => {
                    prop_assert_eq!(stat.len_bytes, bytes.len() as u64);
                    let mut buffer = vec![0; bytes.len() + 1];
                    prop_assert_eq!(self.tree.read(id, 0, &mut buffer), Ok(bytes.len()));
                    prop_assert_eq!(&buffer[..bytes.len()], &bytes[..]);
                }
                Body::Symlink(target) => {
                    prop_assert_eq!(self.tree.read_link(id), Ok(target.as_str()))
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn behaves_like_the_model(steps in prop::collection::vec(step(), 0..80)) {
        let account = account(u64::MAX / 2);
        let mut pair = Pair::new(Arc::clone(&account));
        for step in steps {
            pair.take(step)?;
            pair.compare()?;
        }
        drop(pair);
        prop_assert_eq!(account.used.load(Ordering::Relaxed), 0);
    }

    /// Whatever the limit refuses, nothing is lost from the account and the limit holds.
    #[test]
    fn stays_within_a_budget(limit in 256u64..20_000, steps in prop::collection::vec(step(), 0..80)) {
        let account = account(limit);
        let mut pair = Pair::new(Arc::clone(&account));
        let mut ids = vec![pair.tree.root()];
        for step in steps {
            let tree = &mut pair.tree;
            let made = match step {
                Step::CreateFile(p, n) => tree.create_file(ids[p % ids.len()], NAMES[n], NOW),
                Step::CreateDirectory(p, n) => tree.create_directory(ids[p % ids.len()], NAMES[n], NOW),
                Step::Unlink(p, n) => tree.unlink(ids[p % ids.len()], NAMES[n], NOW).map(|()| ids[0]),
                Step::Write(f, offset, bytes) => {
                    let file = ids[f % ids.len()];
                    let taken = tree.write(file, offset, &bytes, NOW);
                    prop_assert!(taken.is_err() || bytes.is_empty() || taken.unwrap() > 0);
                    taken.map(|_| file)
                }
                Step::SetLen(f, len) => tree.set_len(ids[f % ids.len()], len, NOW).map(|()| ids[0]),
                Step::Rename(f, n, t, m) => tree
                    .rename(ids[f % ids.len()], NAMES[n], ids[t % ids.len()], NAMES[m], NOW)
                    .map(|()| ids[0]),
                _ => Ok(ids[0]),
            };
            ids.extend(made.ok());
            prop_assert!(account.used.load(Ordering::Relaxed) <= limit);
        }
        drop(pair);
        prop_assert_eq!(account.used.load(Ordering::Relaxed), 0);
    }

    /// No path, however odd, panics or leads out of the directory it starts from.
    #[test]
    fn no_path_escapes(path in "[a-d./\0]{0,24}", follow in any::<bool>()) {
        let mut tree = Tmpfs::new(account(1 << 20), NOW).unwrap();
        let root = tree.root();
        let base = tree.create_directory(root, "base", NOW).unwrap();
        let outside = tree.create_file(root, "d", NOW).unwrap();
        let a = tree.create_directory(base, "a", NOW).unwrap();
        tree.create_symlink(base, "b", "a/../..", NOW).unwrap();
        tree.create_symlink(a, "c", "../../d", NOW).unwrap();
        tree.create_symlink(a, "d", "/d", NOW).unwrap();
        let follow = if follow { lib_tmpfs::Follow::Last } else { lib_tmpfs::Follow::AllButLast };
        if let Ok(node) = tree.resolve(base, &path, follow).and_then(|found| found.node()) {
            prop_assert_ne!(node, root);
            prop_assert_ne!(node, outside);
            prop_assert!(tree.stat(node).unwrap().kind != Kind::File);
        }
    }
}
