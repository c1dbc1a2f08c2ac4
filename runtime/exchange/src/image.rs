//! What the loader read: bundles, as file trees and as programs.
//!
//! Law: a bundle's index was verified by the loader and is verified again when it is opened; contents are verified
//! when they are first used, once. Trees are made over the bundle's bytes: what a program changes is
//! copied, and gone when the machine stops.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract_boot::Module;
use kernel_core::memory;
use lib_bundle::grants::{GRANTS_PATH, GrantTable};
use lib_bundle::{Bundle, Entry, EntryKind};
use lib_tmpfs::{Backing, BackingError, NodeId, Timestamp, Tmpfs};
use runtime_engine::ClaimedImage;
use runtime_host::{Budget, BudgetCharge, FileTree};
use runtime_supervisor::{ChildLimits, Grants, ProgramFinder, ProgramImage, WasmBytes};

/// Links that lead from one name of a program to another, at most.
const LINKS_MAX: usize = 8;

/// Maps and opens the bundle in `module`; `None` where the loader read none.
///
/// # Errors
/// A sentence that names the bundle.
pub fn open(name: &str, module: &Module) -> Result<Option<Bundle<'static>>, String> {
    if module.len_bytes == 0 {
        return Ok(None);
    }
    let bytes = memory::map_boot_module(module)
        .map_err(|error| format!("the {name} cannot be mapped: {error}"))?;
    let bundle = Bundle::open(bytes)
        .map_err(|error| format!("the {name} is damaged: {error}: write the image again"))?;
    Ok(Some(bundle))
}

/// The programs of a bundle: what lies in one folder of it.
pub struct Programs {
    bundle: Bundle<'static>,
    /// Precompiled images that were started, by entry: each is checked once.
    claims: Mutex<BTreeMap<u32, ClaimedImage>>,
    grants: GrantTable,
}

impl Programs {
    /// The programs in `/bin` of `bundle`, with what its file of grants says about them.
    ///
    /// # Errors
    /// A sentence: the file is damaged.
    pub fn new(bundle: Bundle<'static>) -> Result<Self, String> {
        let grants = bundle.get(GRANTS_PATH).map(contents).transpose()?;
        let grants = GrantTable::parse(grants.unwrap_or_default());
        Ok(Self {
            bundle,
            claims: Mutex::default(),
            grants: grants.map_err(|error| format!("{error}: write the image again"))?,
        })
    }

    fn image(
        &self,
        name: &str,
        wasm: Option<Entry<'static>>,
        precompiled: Option<Entry<'static>>,
    ) -> Result<ProgramImage, String> {
        let precompiled = precompiled.map(|entry| self.claim(entry));
        // Beside an image the source is only for the case that the image does not fit this kernel. It is not
        // verified then: the engine trusts no source anyway.
        let wasm = match (&precompiled, wasm) {
            (Some(_), entry) => entry.map(|entry| entry.contents()),
            (None, entry) => entry.map(contents).transpose()?,
        };
        Ok(ProgramImage {
            name: name.to_owned(),
            wasm: wasm.map(WasmBytes::Static),
            precompiled,
            grants: process_grants(&self.grants.of(name)),
        })
    }

    fn claim(&self, entry: Entry<'static>) -> ClaimedImage {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = claims.entry(entry.number());
        claim.or_insert_with(|| claimed_image(entry)).clone()
    }

    /// The file at `path`, through links within the bundle.
    fn file(&self, path: &str) -> Option<Entry<'static>> {
        let mut entry = self.bundle.get(path)?;
        for _ in 0..LINKS_MAX {
            match entry.kind() {
                EntryKind::File => return Some(entry),
                EntryKind::Directory => return None,
                EntryKind::Symlink => entry = self.bundle.get(&sibling(entry)?)?,
            }
        }
        None
    }
}

impl ProgramFinder for Programs {
    fn names(&self) -> Vec<String> {
        let children = self.bundle.children("/bin");
        let names = children.filter_map(|entry| entry.name().strip_suffix(".wasm"));
        names.map(str::to_owned).collect()
    }

    fn find(&self, name: &str) -> Option<Result<ProgramImage, String>> {
        let wasm = self.file(&format!("/bin/{name}.wasm"));
        let precompiled = self.file(&format!("/bin/{name}.cwasm"));
        if wasm.is_none() && precompiled.is_none() {
            return None;
        }
        Some(self.image(name, wasm, precompiled))
    }
}

/// What an image grants, as processes are started with it.
fn process_grants(grants: &lib_bundle::grants::Grants) -> Grants {
    let small = |number: Option<u64>| number.map(|number| number.try_into().unwrap_or(u32::MAX));
    Grants {
        limits: ChildLimits {
            memory_bytes: grants.memory_bytes,
            cpu_percent: small(grants.cpu_percent),
            cpu_time: grants.cpu_time_s.map(Duration::from_secs),
            handles: small(grants.handles),
            output_bytes: grants.output_bytes,
            processes: small(grants.processes),
        },
        may_spawn: grants.may_spawn,
        may_control: grants.may_control,
        may_call: grants.may_call.clone(),
    }
}

/// Where a link without slashes leads.
fn sibling(link: Entry<'_>) -> Option<String> {
    let (folder, _) = link.path().rsplit_once('/')?;
    Some(format!("{folder}/{}", link.target()?))
}

/// The verified contents of a file.
///
/// # Errors
/// A sentence that names the file.
pub fn contents(entry: Entry<'static>) -> Result<&'static [u8], String> {
    entry
        .verify()
        .map_err(|error| format!("{}: {error}: write the image again", entry.path()))
}

/// A precompiled program of a bundle, as the bundle's verified index describes it.
pub fn claimed_image(entry: Entry<'static>) -> ClaimedImage {
    ClaimedImage::new(entry.contents(), entry.sha256())
}

/// The folder `from` of a bundle as a tree of its own; an empty tree without a bundle. What is written to it is
/// charged to `budget`.
///
/// # Errors
/// A sentence.
pub fn tree(
    bundle: Option<Bundle<'static>>,
    from: &str,
    budget: Budget,
) -> Result<FileTree, String> {
    let charge = Arc::new(BudgetCharge(budget));
    let mut tree = Tmpfs::new(charge, timestamp(now_ns())).map_err(|error| error.to_string())?;
    if let Some(bundle) = bundle {
        let root = tree.root();
        add_children(&mut tree, root, bundle, from)?;
    }
    Ok(FileTree::new(tree))
}

fn add_children(
    tree: &mut Tmpfs,
    parent: NodeId,
    bundle: Bundle<'static>,
    folder: &str,
) -> Result<(), String> {
    for entry in bundle.children(folder) {
        let node = add_entry(tree, parent, entry)
            .map_err(|error| format!("{} cannot be put into the tree: {error}", entry.path()))?;
        if entry.kind() == EntryKind::Directory {
            add_children(tree, node, bundle, entry.path())?;
            // Filling it changed its time.
            let _set = set_modified(tree, node, entry);
        }
    }
    Ok(())
}

fn add_entry(
    tree: &mut Tmpfs,
    parent: NodeId,
    entry: Entry<'static>,
) -> Result<NodeId, lib_tmpfs::Error> {
    let now = timestamp(now_ns());
    let node = match entry.kind() {
        EntryKind::Directory => tree.create_directory(parent, entry.name(), now),
        EntryKind::Symlink => {
            tree.create_symlink(parent, entry.name(), entry.target().unwrap_or(""), now)
        }
        EntryKind::File => {
            let backing = Arc::new(BundleFile::new(entry));
            tree.create_backed(parent, entry.name(), backing, now)
        }
    }?;
    set_modified(tree, node, entry)?;
    Ok(node)
}

fn set_modified(tree: &mut Tmpfs, node: NodeId, entry: Entry<'_>) -> Result<(), lib_tmpfs::Error> {
    let modified = timestamp(entry.mtime_ns());
    tree.set_times(node, Some(modified), Some(modified), modified)
}

fn now_ns() -> u64 {
    kernel_core::time::realtime_ns()
}

fn timestamp(ns: u64) -> Timestamp {
    Timestamp {
        seconds: ns / 1_000_000_000,
        nanoseconds: (ns % 1_000_000_000) as u32,
    }
}

/// A file of a bundle, verified when it is first read.
struct BundleFile {
    entry: Entry<'static>,
    state: AtomicU8,
}

impl BundleFile {
    const UNKNOWN: u8 = 0;
    const GOOD: u8 = 1;
    const DAMAGED: u8 = 2;

    fn new(entry: Entry<'static>) -> Self {
        Self {
            entry,
            state: AtomicU8::new(Self::UNKNOWN),
        }
    }

    fn check(&self) -> u8 {
        let state = match self.entry.verify() {
            Ok(_) => Self::GOOD,
            Err(error) => {
                log::error!("image: {}: {error}", self.entry.path());
                Self::DAMAGED
            }
        };
        self.state.store(state, Ordering::Release);
        state
    }
}

impl Backing for BundleFile {
    fn len_bytes(&self) -> u64 {
        self.entry.len_bytes()
    }

    fn bytes(&self) -> Result<&[u8], BackingError> {
        let state = match self.state.load(Ordering::Acquire) {
            Self::UNKNOWN => self.check(),
            state => state,
        };
        if state == Self::GOOD {
            Ok(self.entry.contents())
        } else {
            Err(BackingError)
        }
    }
}
