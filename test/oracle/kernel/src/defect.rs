//! Planted defects: what the oracle must notice to be trusted. Each spoils one part of one case's result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lib_host_link::Stream;
use lib_tmpfs::{Error, Kind, NodeId, Timestamp, Tmpfs};
use runtime_exchange::LinkOutput;
use runtime_host::{ByteSink, FileTree, Notifier, StreamFailure};

/// What is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A bit of the first byte of standard output.
    FlipStdout,
    /// A bit of the first byte of standard error.
    FlipStderr,
    /// The exit code.
    ExitCode,
    /// A file of the root is not there.
    DropFile,
    /// The first byte of a file is another one.
    ChangeFile,
    /// A file was changed at another time.
    MoveTime,
    /// A symbolic link leads elsewhere.
    Retarget,
    /// A directory has become a file.
    ChangeKind,
}

const DEFECTS: [(&str, Defect); 8] = [
    ("flip-stdout", Defect::FlipStdout),
    ("flip-stderr", Defect::FlipStderr),
    ("exit-code", Defect::ExitCode),
    ("drop-file", Defect::DropFile),
    ("change-file", Defect::ChangeFile),
    ("move-time", Defect::MoveTime),
    ("retarget", Defect::Retarget),
    ("change-kind", Defect::ChangeKind),
];

/// When a spoilt file was changed: long before every case.
const LONG_AGO: Timestamp = Timestamp {
    seconds: 1,
    nanoseconds: 0,
};

impl Defect {
    /// Those of the word `defects=`, in order.
    pub fn of_command_line(command_line: &str) -> Result<Vec<Self>, String> {
        let mut words = command_line.split(' ');
        let names = words.find_map(|word| word.strip_prefix("defects="));
        let names = names.into_iter().flat_map(|names| names.split(','));
        names.map(Self::named).collect()
    }

    fn named(name: &str) -> Result<Self, String> {
        let found = DEFECTS.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, defect)| *defect)
            .ok_or(format!("there is no defect {name}"))
    }

    /// Spoils what a program left, if that is what this spoils.
    pub fn spoil_tree(self, tree: &FileTree) -> Result<(), String> {
        let spoilt = self.spoil(&mut tree.write());
        spoilt.map_err(|error| format!("{self:?} cannot be planted: {error}"))
    }

    fn spoil(self, tree: &mut Tmpfs) -> Result<(), Error> {
        let root = tree.root();
        match self {
            Self::FlipStdout | Self::FlipStderr | Self::ExitCode => Ok(()),
            Self::DropFile => {
                let (name, _) = first(tree, Kind::File)?;
                tree.unlink(root, &name, LONG_AGO)
            }
            Self::ChangeFile => {
                let (_, file) = first(tree, Kind::File)?;
                let times = tree.stat(file)?.times;
                tree.write(file, 0, b"\x01", LONG_AGO)?;
                tree.set_times(file, None, Some(times.modified), LONG_AGO)
            }
            Self::MoveTime => {
                let (_, file) = first(tree, Kind::File)?;
                tree.set_times(file, None, Some(LONG_AGO), LONG_AGO)
            }
            Self::Retarget => {
                let (name, link) = first(tree, Kind::Symlink)?;
                let times = tree.stat(link)?.times;
                tree.unlink(root, &name, LONG_AGO)?;
                let link = tree.create_symlink(root, &name, "elsewhere", LONG_AGO)?;
                tree.set_times(link, None, Some(times.modified), LONG_AGO)
            }
            Self::ChangeKind => {
                let (name, directory) = first(tree, Kind::Directory)?;
                let times = tree.stat(directory)?.times;
                tree.remove_directory(root, &name, LONG_AGO)?;
                let file = tree.create_file(root, &name, LONG_AGO)?;
                tree.set_times(file, None, Some(times.modified), LONG_AGO)
            }
        }
    }
}

/// The first entry of the root that is of this kind.
fn first(tree: &Tmpfs, kind: Kind) -> Result<(String, NodeId), Error> {
    let mut last: Option<String> = None;
    while let Some(entry) = tree.entry_after(tree.root(), last.as_deref())? {
        if entry.kind == kind {
            return Ok((entry.name.to_owned(), entry.node));
        }
        last = Some(entry.name.to_owned());
    }
    Err(Error::NotFound)
}

/// Where a case's program writes.
pub fn sink(output: LinkOutput, stream: Stream, defect: Option<Defect>) -> Arc<dyn ByteSink> {
    match (stream, defect) {
        (Stream::Stdout, Some(Defect::FlipStdout)) | (Stream::Stderr, Some(Defect::FlipStderr)) => {
            Arc::new(Flipped {
                output,
                is_done: AtomicBool::new(false),
            })
        }
        _ => Arc::new(output),
    }
}

/// An output whose first byte comes with one bit flipped.
struct Flipped {
    output: LinkOutput,
    is_done: AtomicBool,
}

impl ByteSink for Flipped {
    fn room_bytes(&self) -> Result<usize, StreamFailure> {
        self.output.room_bytes()
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, StreamFailure> {
        match bytes.first() {
            Some(first) if !self.is_done.swap(true, Ordering::Relaxed) => {
                self.output.write(&[first ^ 1])
            }
            _ => self.output.write(bytes),
        }
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.output.subscribe(notifier);
    }
}
