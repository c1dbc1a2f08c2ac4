//! The workspace as cargo sees it: crates, their folders, who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::command;
use crate::failure::{Failure, Result};
use crate::paths::Paths;

/// One crate of the workspace.
#[derive(Clone, Debug)]
pub struct Member {
    /// The package's name.
    pub name: String,
    /// Its folder, from the repository's root.
    pub folder: String,
    /// Folders of the workspace's crates that it depends on, tests' dependencies aside.
    pub imports: BTreeSet<String>,
    /// Names of all crates that it is built from, tests' dependencies included.
    pub closure: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    /// None for an ordinary dependency, else "dev" or "build".
    kind: Option<String>,
}

/// All crates of the workspace, by name.
pub fn members(paths: &Paths) -> Result<Vec<Member>> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&paths.root)
        .args(["metadata", "--format-version", "1"]);
    let metadata: Metadata = serde_json::from_str(&command::capture(&mut cargo)?)
        .map_err(|e| Failure::input("the output of `cargo metadata`", e))?;
    let mut members = Graph::new(&metadata).members(&paths.root);
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

struct Graph<'a> {
    packages: BTreeMap<&'a str, &'a Package>,
    nodes: BTreeMap<&'a str, &'a Node>,
    members: &'a BTreeSet<String>,
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Metadata) -> Self {
        Self {
            packages: metadata
                .packages
                .iter()
                .map(|package| (package.id.as_str(), package))
                .collect(),
            nodes: metadata
                .resolve
                .nodes
                .iter()
                .map(|node| (node.id.as_str(), node))
                .collect(),
            members: &metadata.workspace_members,
        }
    }

    fn members(&self, root: &Path) -> Vec<Member> {
        self.members
            .iter()
            .filter_map(|id| self.member(root, id))
            .collect()
    }

    fn member(&self, root: &Path, id: &str) -> Option<Member> {
        let imports = self
            .nodes
            .get(id)?
            .deps
            .iter()
            .filter(|edge| edge.is_ordinary());
        let imports = imports.filter(|edge| self.members.contains(&edge.pkg));
        Some(Member {
            name: self.packages.get(id)?.name.clone(),
            folder: self.folder(root, id)?,
            imports: imports
                .filter_map(|edge| self.folder(root, &edge.pkg))
                .collect(),
            closure: self.closure(id),
        })
    }

    fn folder(&self, root: &Path, id: &str) -> Option<String> {
        let manifest = Path::new(&self.packages.get(id)?.manifest_path);
        let folder = manifest.parent()?.strip_prefix(root).ok()?;
        Some(folder.to_string_lossy().into_owned())
    }

    fn closure(&self, id: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = self
            .nodes
            .get(id)
            .map_or_else(Vec::new, |node| node.targets().collect());
        while let Some(next) = open.pop() {
            if let (true, Some(node)) = (found.insert(next), self.nodes.get(next)) {
                // Tests' dependencies of dependencies are not built.
                open.extend(
                    node.deps
                        .iter()
                        .filter(|edge| !edge.is_for_tests())
                        .map(|edge| edge.pkg.as_str()),
                );
            }
        }
        found
            .iter()
            .filter_map(|id| self.packages.get(id))
            .map(|package| package.name.clone())
            .collect()
    }
}

impl Node {
    fn targets(&self) -> impl Iterator<Item = &str> {
        self.deps.iter().map(|edge| edge.pkg.as_str())
    }
}

impl Edge {
    fn is_ordinary(&self) -> bool {
        self.dep_kinds.iter().any(|edge| edge.kind.is_none())
    }

    fn is_for_tests(&self) -> bool {
        self.dep_kinds
            .iter()
            .all(|edge| edge.kind.as_deref() == Some("dev"))
    }
}
