//! Who may depend on whom.
//!
//! Law: the first row whose folder a crate lies in is its layer; it may depend on crates in the folders of that
//! row and on nothing else of the workspace. Dependencies of tests are free.

use super::verdict;
use crate::failure::Result;
use crate::paths::Paths;
use crate::workspace::{self, Member};

/// Folder of a layer, and folders that it may import from.
const LAYERS: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("lib", &["lib", "contract"]),
    ("boot/loader", &["contract", "lib"]),
    ("kernel/machine", &["contract", "lib"]),
    ("kernel/core", &["kernel/machine", "contract", "lib"]),
    (
        "kernel/drivers",
        &["kernel/core", "kernel/machine", "contract", "lib"],
    ),
    ("kernel/libc", &["kernel/core"]),
    ("runtime/engine", &["kernel/core", "contract", "lib"]),
    (
        "runtime/host",
        &["runtime/engine", "kernel/core", "contract", "lib"],
    ),
    (
        "runtime/wasi",
        &[
            "runtime/engine",
            "runtime/host",
            "kernel/core",
            "contract",
            "lib",
        ],
    ),
    (
        "runtime/kpio",
        &[
            "runtime/engine",
            "runtime/host",
            "runtime/wasi",
            "kernel/core",
            "contract",
            "lib",
        ],
    ),
    (
        "runtime/link",
        &[
            "runtime/engine",
            "runtime/host",
            "runtime/wasi",
            "kernel/core",
            "contract",
            "lib",
        ],
    ),
    (
        "runtime/supervisor",
        &[
            "runtime/engine",
            "runtime/host",
            "runtime/wasi",
            "runtime/kpio",
            "runtime/link",
            "kernel/core",
            "contract",
            "lib",
        ],
    ),
    (
        "runtime/services",
        &[
            "runtime/engine",
            "runtime/host",
            "runtime/wasi",
            "runtime/kpio",
            "runtime/link",
            "runtime/supervisor",
            "kernel/core",
            "contract",
            "lib",
        ],
    ),
    (
        "runtime/prompt",
        &[
            "runtime/engine",
            "runtime/host",
            "runtime/wasi",
            "runtime/supervisor",
            "kernel/core",
            "contract",
            "lib",
        ],
    ),
    (
        "runtime/platform",
        &["kernel/core", "kernel/machine", "kernel/libc"],
    ),
    (
        "runtime/exchange",
        &[
            "runtime/engine",
            "runtime/host",
            "runtime/supervisor",
            "kernel/core",
            "contract",
            "lib",
        ],
    ),
    ("runtime/entry", &["runtime", "kernel", "contract", "lib"]),
    ("test", &["test", "runtime", "kernel", "contract", "lib"]),
    ("xtask/compiler", &["runtime/engine", "contract", "lib"]),
    ("xtask", &["contract", "lib"]),
    ("test", &["test", "runtime", "kernel", "contract", "lib"]),
    ("bench", &["bench", "runtime", "kernel", "contract", "lib"]),
];

/// Every crate is in a layer and imports only what its layer may.
pub fn check(paths: &Paths) -> Result<()> {
    verdict(workspace::members(paths)?.iter().flat_map(violations))
}

fn violations(member: &Member) -> Vec<String> {
    let Some((layer, allowed)) = LAYERS
        .iter()
        .find(|(folder, _)| is_in(&member.folder, folder))
    else {
        return vec![format!(
            "{} is in no layer of the table in xtask/src/check/layers.rs",
            member.folder
        )];
    };
    let forbidden = member
        .imports
        .iter()
        .filter(|import| !allowed.iter().any(|folder| is_in(import, folder)));
    forbidden
        .map(|import| {
            format!(
                "{} imports {import}; {layer} may import {allowed:?}",
                member.folder
            )
        })
        .collect()
}

fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn member(folder: &str, imports: &[&str]) -> Member {
        let imports = imports.iter().map(|&import| import.to_owned()).collect();
        Member {
            name: "any".into(),
            folder: folder.into(),
            imports,
            closure: BTreeSet::new(),
        }
    }

    #[test]
    fn an_arrow_upward_is_found_and_one_downward_is_not() {
        assert!(violations(&member("kernel/core", &["kernel/machine", "lib/pipe"])).is_empty());
        assert_eq!(
            violations(&member("kernel/core", &["runtime/wasi"])).len(),
            1
        );
        assert_eq!(violations(&member("lib/pipe", &["kernel/core"])).len(), 1);
        assert_eq!(violations(&member("elsewhere", &[])).len(), 1);
        assert_eq!(violations(&member("library", &[])).len(), 1);
    }
}
