//! Cases that a random walk does not meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lib_tmpfs::{
    Backing, BackingError, Charge, Error, FILE_MAX_BYTES, Follow, Refused, Resolved, StaticBytes,
    Timestamp, Tmpfs, Unlimited,
};

const NOW: Timestamp = Timestamp {
    seconds: 7,
    nanoseconds: 0,
};

fn tree() -> Tmpfs {
    Tmpfs::new(Arc::new(Unlimited), NOW).unwrap()
}

#[test]
fn a_file_without_a_name_lives_as_long_as_its_pin() {
    let mut tree = tree();
    let file = tree.create_file(tree.root(), "f", NOW).unwrap();
    tree.write(file, 0, b"still here", NOW).unwrap();
    tree.pin(file).unwrap();
    tree.unlink(tree.root(), "f", NOW).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(tree.read(file, 0, &mut buffer), Ok(10));
    assert_eq!(&buffer, b"still here");
    assert_eq!(tree.link(file, tree.root(), "g", NOW), Err(Error::NotFound));
    tree.unpin(file);
    assert_eq!(tree.read(file, 0, &mut buffer), Err(Error::NotFound));
    let next = tree.create_file(tree.root(), "f", NOW).unwrap();
    assert_ne!(next, file);
}

#[test]
fn a_removed_directory_takes_nothing_in() {
    let mut tree = tree();
    let directory = tree.create_directory(tree.root(), "d", NOW).unwrap();
    tree.pin(directory).unwrap();
    tree.remove_directory(tree.root(), "d", NOW).unwrap();
    assert_eq!(tree.create_file(directory, "f", NOW), Err(Error::NotFound));
    let file = tree.create_file(tree.root(), "f", NOW).unwrap();
    assert_eq!(tree.link(file, directory, "f", NOW), Err(Error::NotFound));
    let moved = tree.rename(tree.root(), "f", directory, "f", NOW);
    assert_eq!(moved, Err(Error::NotFound));
}

#[test]
fn absurd_offsets_are_errors_or_holes() {
    let mut tree = tree();
    let file = tree.create_file(tree.root(), "f", NOW).unwrap();
    let written = tree.write(file, u64::MAX, b"x", NOW);
    assert_eq!(written, Err(Error::FileTooLarge));
    assert_eq!(tree.set_len(file, u64::MAX, NOW), Err(Error::FileTooLarge));
    assert_eq!(tree.write(file, FILE_MAX_BYTES - 1, b"x", NOW), Ok(1));
    let mut buffer = [1; 4];
    assert_eq!(tree.read(file, FILE_MAX_BYTES / 2, &mut buffer), Ok(4));
    assert_eq!(buffer, [0; 4]);
    assert_eq!(tree.read(file, u64::MAX, &mut buffer), Ok(0));
}

#[test]
fn cutting_and_growing_shows_zeros() {
    let mut tree = tree();
    let file = tree.create_file(tree.root(), "f", NOW).unwrap();
    tree.write(file, 0, &[9; 70_000], NOW).unwrap();
    tree.set_len(file, 65_537, NOW).unwrap();
    tree.set_len(file, 70_000, NOW).unwrap();
    let mut buffer = [1; 3];
    assert_eq!(tree.read(file, 65_535, &mut buffer), Ok(3));
    assert_eq!(buffer, [9, 9, 0]);
}

struct Broken;

impl Backing for Broken {
    fn len_bytes(&self) -> u64 {
        5
    }
    fn bytes(&self) -> Result<&[u8], BackingError> {
        Err(BackingError)
    }
}

#[test]
fn backed_files_are_copied_when_they_change() {
    static BYTES: [u8; 5] = *b"image";
    let mut tree = tree();
    let root = tree.root();
    let backing = Arc::new(StaticBytes(&BYTES));
    let file = tree.create_backed(root, "f", backing, NOW).unwrap();
    let mut buffer = [0; 9];
    assert_eq!(tree.read(file, 1, &mut buffer), Ok(4));
    assert_eq!(&buffer[..4], b"mage");
    assert_eq!(tree.append(file, b"!", NOW), Ok(1));
    assert_eq!(tree.read(file, 0, &mut buffer), Ok(6));
    assert_eq!(&buffer[..6], b"image!");
    assert_eq!(&BYTES, b"image");
}

#[test]
fn a_broken_backing_is_an_error_that_cutting_off_gets_rid_of() {
    let mut tree = tree();
    let root = tree.root();
    let file = tree
        .create_backed(root, "f", Arc::new(Broken), NOW)
        .unwrap();
    assert_eq!(tree.read(file, 0, &mut [0; 4]), Err(Error::Corrupt));
    assert_eq!(tree.append(file, b"x", NOW), Err(Error::Corrupt));
    assert_eq!(tree.set_len(file, 0, NOW), Ok(()));
    assert_eq!(tree.append(file, b"x", NOW), Ok(1));
}

#[test]
fn a_read_only_tree_refuses_every_change() {
    let mut tree = tree();
    let root = tree.root();
    let file = tree.create_file(root, "f", NOW).unwrap();
    tree.set_read_only();
    let refused = Err(Error::ReadOnly);
    assert_eq!(tree.create_file(root, "g", NOW).map(|_| ()), refused);
    assert_eq!(tree.write(file, 0, b"x", NOW).map(|_| ()), refused);
    assert_eq!(tree.set_len(file, 0, NOW), refused);
    assert_eq!(tree.unlink(root, "f", NOW), refused);
    assert_eq!(tree.rename(root, "f", root, "g", NOW), refused);
    assert_eq!(tree.link(file, root, "g", NOW), refused);
    assert_eq!(tree.set_times(file, Some(NOW), None, NOW), refused);
}

#[test]
fn links_in_a_circle_end() {
    let mut tree = tree();
    let root = tree.root();
    tree.create_symlink(root, "a", "b", NOW).unwrap();
    tree.create_symlink(root, "b", "a", NOW).unwrap();
    let found = tree.resolve(root, "a", Follow::Last);
    assert_eq!(found, Err(Error::SymlinkLoop));
    tree.create_symlink(root, "c", "c/c/c/c", NOW).unwrap();
    let found = tree.resolve(root, "c/x", Follow::AllButLast);
    assert_eq!(found, Err(Error::SymlinkLoop));
}

#[test]
fn a_dangling_link_leads_to_where_its_target_would_be() {
    let mut tree = tree();
    let root = tree.root();
    let directory = tree.create_directory(root, "d", NOW).unwrap();
    tree.create_symlink(root, "l", "d/new", NOW).unwrap();
    let found = tree.resolve(root, "l", Follow::Last).unwrap();
    let expected = Resolved::Entry {
        parent: directory,
        name: "new".into(),
        node: None,
        directory_required: false,
    };
    assert_eq!(found, expected);
}

#[test]
fn names_that_are_none_are_refused() {
    let mut tree = tree();
    let root = tree.root();
    for name in ["", ".", "..", "a/b", "a\0b"] {
        let made = tree.create_file(root, name, NOW);
        assert_eq!(made, Err(Error::InvalidName), "{name:?}");
    }
    let made = tree.create_file(root, &"x".repeat(256), NOW);
    assert_eq!(made, Err(Error::NameTooLong));
    let found = tree.resolve(root, &"x/".repeat(4000), Follow::Last);
    assert_eq!(found, Err(Error::NameTooLong));
}

#[test]
fn a_very_deep_tree_is_dropped_and_searched_without_recursion() {
    let mut tree = tree();
    let mut directory = tree.root();
    for _ in 0..100_000 {
        directory = tree.create_directory(directory, "d", NOW).unwrap();
    }
    let moved = tree.rename(tree.root(), "d", directory, "e", NOW);
    assert_eq!(moved, Err(Error::IntoItself));
}

/// Counts what is reserved.
#[derive(Default)]
struct Account(AtomicU64);

impl Charge for Account {
    fn reserve(&self, bytes: u64) -> Result<(), Refused> {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
    fn release(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Blocks of 256 KiB with a record before them take 65 pages; a tree that is charged less fills a machine beyond
/// its memory.
#[test]
fn a_large_file_is_charged_with_what_its_blocks_take() {
    let account = Arc::new(Account::default());
    let mut tree = Tmpfs::new(Arc::clone(&account) as Arc<dyn Charge>, NOW).unwrap();
    let file = tree.create_file(tree.root(), "f", NOW).unwrap();
    let before = account.0.load(Ordering::Relaxed);
    let blocks = 10;
    for block in 0..blocks {
        let bytes = vec![1; 256 << 10];
        assert_eq!(
            tree.write(file, block * (256 << 10), &bytes, NOW),
            Ok(256 << 10)
        );
    }
    let charged = account.0.load(Ordering::Relaxed) - before;
    assert!(charged >= blocks * 65 * 4096, "{charged}");
    drop(tree);
}
