//! Archives and hash lists that somebody has changed on purpose, with digests made right again.
//!
//! Laws: what opens can be used in every way, is sorted and searched correctly, and a content is called good if and only if it has the
//! digest that the index says. A hash list that is read is written the same.

use lib_bundle::manifest::Manifest;
use lib_bundle::{Bundle, BundleBuilder, Entry, EntryKind, sha256};
use test_fuzz::{Input, Subject, Target, Verdict, holds, same};

pub const TARGET: Target = Target {
    name: "bundle",
    cases: 4_000,
    len_bytes_max: 512,
    defect: "contents that are used without being verified",
    try_input: try_bundle,
};

pub const MANIFEST: Target = Target {
    name: "hash-list",
    cases: 20_000,
    len_bytes_max: 512,
    defect: "a list that is written without the ends of its lines",
    try_input: try_manifest,
};

const HEADER_BYTES: usize = 64;
const PATHS: [&str; 8] = ["/a", "/a/b", "/a/b/c", "/b", "/b/a", "/link", "/a/é", "/z"];

fn try_bundle(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let mut archive = archive(&mut input)?;
    for _ in 0..input.below(6) {
        patch(&mut input, &mut archive);
    }
    reseal(&mut archive);
    let Ok(bundle) = Bundle::open(&archive) else {
        return Ok(());
    };
    let mut before = None;
    for entry in bundle.entries() {
        let place = place(entry.path());
        holds(before < Some(place), || {
            format!("{} is not behind the entry before it", entry.path())
        })?;
        before = Some(place);
        check_entry(subject, &bundle, &entry)?;
    }
    Ok(())
}

/// By what entries are sorted.
fn place(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn check_entry(subject: Subject, bundle: &Bundle<'_>, entry: &Entry<'_>) -> Verdict {
    let path = entry.path();
    let number = bundle.get(path).map(|found| found.number());
    same("the entry of a path", number, Some(entry.number()))?;
    let is_link = entry.kind() == EntryKind::Symlink;
    same("whether it has a target", entry.target().is_some(), is_link)?;
    for child in bundle.children(path) {
        let parent = child.path().strip_suffix(child.name());
        let parent = parent.map(|parent| parent.trim_end_matches('/'));
        same("a child's parent", parent, Some(path.trim_end_matches('/')))?;
    }
    if entry.kind() == EntryKind::File {
        let is_accepted = subject == Subject::Spoiled || entry.verify().is_ok();
        let is_good = sha256(&[entry.contents()]) == entry.sha256();
        same("whether its contents are good", is_accepted, is_good)?;
    }
    Ok(())
}

fn archive(input: &mut Input<'_>) -> Result<Vec<u8>, String> {
    let mut builder = BundleBuilder::new();
    for _ in 0..input.below(6) {
        let path = input.one_of(&PATHS);
        let mtime_ns = input.number();
        // A path that is there already, or below a file, is refused.
        let _added = match input.below(4) {
            0 => builder.directory(path, mtime_ns),
            1 => builder.symlink(path, "a/../b", mtime_ns),
            2 => builder.file(path, vec![7; 4096 + input.below(16)], mtime_ns, true),
            _ => builder.file(path, input.bytes(9).to_vec(), mtime_ns, false),
        };
    }
    // A tree whose parts contradict each other is refused as a whole.
    let tree = builder.build().or_else(|_| BundleBuilder::new().build());
    tree.map_err(|error| format!("an empty tree is none: {error:?}"))
}

/// Changes one field anywhere, or one in the header or a record.
fn patch(input: &mut Input<'_>, archive: &mut [u8]) {
    let at = if input.one_in(2) {
        usize::from(input.u16()) % archive.len()
    } else {
        input.below(32) * 8 + input.below(8)
    };
    let number = input.number().to_le_bytes();
    let len_bytes = input.one_of(&[1, 2, 4, 8]);
    for (byte, new) in archive.iter_mut().skip(at).zip(&number[..len_bytes]) {
        *byte = *new;
    }
}

fn reseal(archive: &mut [u8]) {
    let stated = archive[24..32].try_into().map_or(0, u64::from_le_bytes);
    let end = usize::try_from(stated)
        .ok()
        .and_then(|len| len.checked_add(HEADER_BYTES));
    let tables = end.and_then(|end| archive.get(HEADER_BYTES..end));
    if let Some(tables) = tables {
        let digest = sha256(&[&archive[..32], tables]);
        archive[32..64].copy_from_slice(&digest);
    }
}

fn try_manifest(subject: Subject, bytes: &[u8]) -> Verdict {
    let Ok(manifest) = Manifest::parse(bytes) else {
        return Ok(());
    };
    let mut written = manifest.to_string();
    if subject == Subject::Spoiled {
        written = written.replace('\n', "");
    }
    same("the list written again", written.as_bytes(), bytes)?;
    for entry in manifest.entries() {
        same("the file of a name", manifest.get(&entry.name), Some(entry))?;
    }
    Ok(())
}
