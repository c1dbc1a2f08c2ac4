//! What a part is built from, as cargo resolves it.
//!
//! Law: ordinary dependencies only, followed from the part's own package. What is needed to build or to test is
//! not in the image, nor is a macro, though its output is. The project's own crates are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::parts::Part;

/// A package of somebody else's.
#[derive(Clone, Debug, Deserialize)]
pub struct Package {
    id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression.
    pub license: Option<String>,
    /// A file with its licence, where the expression does not do.
    pub license_file: Option<PathBuf>,
    /// Who it says wrote it.
    pub authors: Vec<String>,
    /// Where it is developed.
    pub repository: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Clone, Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
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
    /// None for an ordinary dependency.
    kind: Option<String>,
}

impl Package {
    /// The folder of its sources.
    pub fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    fn is_macro(&self) -> bool {
        let mut kinds = self.targets.iter().flat_map(|target| &target.kind);
        kinds.any(|kind| kind == "proc-macro")
    }
}

/// The foreign packages in a part, by name and version. A program of the registry is one of its own.
pub fn packages(root: &Path, part: &Part) -> Result<Vec<Package>> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        part.target,
        "--manifest-path",
    ]);
    let output = capture(cargo.arg(&part.manifest).args(&part.features))?;
    let metadata: Metadata = serde_json::from_str(&output)
        .map_err(|e| Failure::input("the output of `cargo metadata`", e))?;
    let is_own = part.manifest.starts_with(root);
    let mut found = reached(metadata, &part.package)?;
    found.retain(|package| package.source.is_some() || !is_own);
    found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(found)
}

fn reached(metadata: Metadata, start: &str) -> Result<Vec<Package>> {
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let mut packages: BTreeMap<&str, Package> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package.clone()))
        .collect();
    let first = metadata
        .packages
        .iter()
        .find(|package| package.name == start);
    let first = first.ok_or_else(|| Failure::input(start, "cargo knows no such package"))?;
    let mut seen = BTreeSet::new();
    let mut open = vec![first.id.as_str()];
    let mut found = Vec::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(package) = packages.remove(id).filter(|package| !package.is_macro()) else {
            continue;
        };
        found.push(package);
        let edges = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        open.extend(
            edges
                .filter(|edge| edge.is_ordinary())
                .map(|edge| edge.pkg.as_str()),
        );
    }
    Ok(found)
}

impl Edge {
    fn is_ordinary(&self) -> bool {
        self.dep_kinds.iter().any(|edge| edge.kind.is_none())
    }
}

/// Runs cargo and returns its stdout.
pub fn capture(cargo: &mut Command) -> Result<String> {
    let output = cargo
        .output()
        .map_err(|e| Failure::io("start", "cargo", e))?;
    if !output.status.success() {
        let arguments = cargo.get_args().map(|word| word.to_string_lossy());
        return Err(Failure::Cargo {
            arguments: arguments.collect::<Vec<_>>().join(" "),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    String::from_utf8(output.stdout).map_err(|e| Failure::input("cargo's output", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let package = |name: &str, kind: &str| {
            format!(
                r#"{{"id":"{name}","name":"{name}","version":"1.0.0","license":"MIT","license_file":null,"authors":[],
                "repository":null,"source":"r","manifest_path":"/x/{name}/Cargo.toml","targets":[{{"kind":["{kind}"]}}]}}"#
            )
        };
        let packages = [
            package("top", "bin"),
            package("used", "lib"),
            package("macro", "proc-macro"),
            package("for-macro", "lib"),
            package("for-build", "lib"),
        ];
        let text = format!(
            r#"{{"packages":[{}],"resolve":{{"nodes":[
            {{"id":"top","deps":[{{"pkg":"used","dep_kinds":[{{"kind":null}}]}},{{"pkg":"macro","dep_kinds":[{{"kind":null}}]}},
              {{"pkg":"for-build","dep_kinds":[{{"kind":"build"}}]}}]}},
            {{"id":"used","deps":[{{"pkg":"top","dep_kinds":[{{"kind":null}}]}}]}},
            {{"id":"macro","deps":[{{"pkg":"for-macro","dep_kinds":[{{"kind":null}}]}}]}}]}}}}"#,
            packages.join(",")
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_only_builds_is_not_in_the_image() {
        let mut names: Vec<String> = reached(metadata(), "top")
            .unwrap()
            .into_iter()
            .map(|package| package.name)
            .collect();
        names.sort();
        assert_eq!(names, ["top", "used"]);
        assert!(reached(metadata(), "absent").is_err());
    }
}
