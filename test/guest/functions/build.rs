//! Reads the WIT and writes `functions.rs`: a trait for each interface with a method for each function, and the
//! lists of all cases, which are generic over a type that implements all traits. So a function without a case is
//! an error of the compiler, and so is a case without a function.
//!
//! Functions behind a feature gate have no Rust bindings in crate `wasip2`, and no case here: they are only listed.

#[path = "../../../runtime/wasi/build/wit_folder.rs"]
mod wit_folder;

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use wit_parser::{Interface, Resolve, Stability, WorldId, WorldItem};

/// A list that is generated: its name, the world, and what begins the names of its interfaces.
const LISTS: [[&str; 3]; 2] = [
    ["command", "wasi:cli/command", "wasi:"],
    ["http", "wasi:http/proxy", "wasi:http/"],
];

/// The functions of one interface.
struct Functions {
    /// `wasi:io/poll`, without a version.
    interface: String,
    /// Their names in the WIT, as `[method]pollable.ready`.
    names: Vec<String>,
    gated: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let wit = wit_folder::wit_folder()?;
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    let (package, _) = resolve.push_dir(&wit)?;
    let mut source = String::new();
    let mut gated = Vec::new();
    for [list, world, prefix] in LISTS {
        let world = resolve.select_world(&[package], Some(world))?;
        let interfaces = imports(&resolve, world, prefix);
        write_traits(&mut source, &interfaces)?;
        write_list(&mut source, list, &interfaces)?;
        gated.extend(
            interfaces
                .iter()
                .flat_map(|one| one.gated.iter().map(|name| one.full(name))),
        );
    }
    writeln!(
        source,
        "/// The functions behind feature gates.\npub const GATED: &[&str] = &{gated:?};"
    )?;
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("functions.rs"),
        source,
    )?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", wit.display());
    Ok(())
}

fn imports(resolve: &Resolve, world: WorldId, prefix: &str) -> Vec<Functions> {
    resolve.worlds[world]
        .imports
        .values()
        .filter_map(|item| match item {
            WorldItem::Interface { id, .. } => {
                let path = resolve.id_of(*id)?;
                let interface = path.split('@').next()?.to_owned();
                interface
                    .starts_with(prefix)
                    .then(|| Functions::of(&resolve.interfaces[*id], interface))
            }
            WorldItem::Function(_) | WorldItem::Type { .. } => None,
        })
        .filter(|functions| !functions.names.is_empty() || !functions.gated.is_empty())
        .collect()
}

impl Functions {
    fn of(interface: &Interface, path: String) -> Self {
        let is_gated = |stability: &Stability| matches!(stability, Stability::Unstable { .. });
        let (gated, open): (Vec<_>, Vec<_>) = interface
            .functions
            .values()
            .partition(|one| is_gated(&interface.stability) || is_gated(&one.stability));
        let names = |functions: Vec<&wit_parser::Function>| {
            functions.into_iter().map(|one| one.name.clone()).collect()
        };
        Self {
            interface: path,
            names: names(open),
            gated: names(gated),
        }
    }

    fn full(&self, function: &str) -> String {
        format!("{}#{function}", self.interface)
    }

    /// `IoPoll`.
    fn trait_name(&self) -> String {
        self.interface
            .trim_start_matches("wasi:")
            .split(['/', '-'])
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect()
    }
}

/// `pollable_ready` for `[method]pollable.ready`; a constructor is `NAME_new`.
fn method_name(function: &str) -> String {
    let (kind, name) = function.rsplit_once(']').unwrap_or(("", function));
    let name = name.replace(['.', '-'], "_");
    match kind {
        "[constructor" => format!("{name}_new"),
        _ => name,
    }
}

fn write_traits(source: &mut String, interfaces: &[Functions]) -> std::fmt::Result {
    for one in interfaces.iter().filter(|one| !one.names.is_empty()) {
        writeln!(
            source,
            "/// `{}`.\npub trait {} {{",
            one.interface,
            one.trait_name()
        )?;
        for name in &one.names {
            writeln!(
                source,
                "    /// Tests `{name}`.\n    fn {}();",
                method_name(name)
            )?;
        }
        writeln!(source, "}}")?;
    }
    Ok(())
}

fn write_list(source: &mut String, list: &str, interfaces: &[Functions]) -> std::fmt::Result {
    let open = || interfaces.iter().filter(|one| !one.names.is_empty());
    let bounds: Vec<_> = open().map(Functions::trait_name).collect();
    writeln!(
        source,
        "/// Every function of its world, in the WIT's order."
    )?;
    writeln!(
        source,
        "pub fn {list}<T: {}>() -> Vec<Case> {{\n    vec![",
        bounds.join(" + ")
    )?;
    for one in open() {
        for name in &one.names {
            let (full, method) = (one.full(name), method_name(name));
            writeln!(
                source,
                "        Case {{ function: {full:?}, run: <T as {}>::{method} }},",
                one.trait_name()
            )?;
        }
    }
    writeln!(source, "    ]\n}}")
}
