//! KPIO's side: one machine that runs all cases, by the kernel of `test/oracle/kernel`.
//!
//! Law: the cases go into the job's bundle (the layout is `test/oracle/kernel/src/case.rs`'s), and for each comes one
//! conversation of `contract/host-link`, in order. What comes is the guest's word and may be hostile. A machine that ends, or is
//! silent for too long, before it has told of every case leaves the rest without an outcome.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contract_host_link::VERSION;
use lib_bundle::{BuildError, BundleBuilder};
use lib_host_link::{DecodeError, Decoder, Message, TreeEntry, TreeKind};

use super::outcome::Outcome;
use super::tree::{Entry, Kind, Tree};
use super::{Case, Cases, Count, Programs};
use crate::failure::{Failure, Result};
use crate::image::Parts;
use crate::paths::{self, Paths};
use crate::programs;
use crate::progress;
use crate::qemu::accelerator::Accelerator;
use crate::qemu::{self, Ending, Machine};

/// How often a silent guest is asked whether it gave up, and how long it may be silent: a hang guard.
const PATIENCE: Duration = Duration::from_millis(500);
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// What loader and firmware say before they wait for a key that nobody presses.
const GIVEN_UP: [&str; 2] = ["KPIO cannot start: ", "BdsDxe: failed to "];

/// A machine to be booted with cases.
pub struct Guest {
    /// The image without cases.
    pub parts: Parts,
    /// Where the disk is written.
    pub image: PathBuf,
    /// How the machine's instructions are executed.
    pub accelerator: Accelerator,
}

/// What a machine told.
pub struct Received {
    /// What came of the first so many cases.
    pub outcomes: Vec<Outcome>,
    /// Why there are no more.
    pub failure: Option<Failure>,
}

impl Guest {
    /// Boots with these words added to the command line, and runs the cases.
    pub fn run(
        &self,
        paths: &Paths,
        (cases, chosen): (&Cases, &[&Case]),
        programs: &Programs,
        words: &str,
        log: &Path,
    ) -> Result<Received> {
        let mut parts = self.parts.clone();
        parts.command_line = format!("{} {words}", parts.command_line).trim().to_owned();
        parts.job = Some(bundle(paths, cases, chosen, programs)?);
        parts.write_disk(&self.image)?;
        let machine = Machine::new(self.accelerator, self.image.clone());
        let mut told = Told::default();
        let what = format!("Running {} on KPIO", Count(chosen.len()));
        let failure = progress::step(&what, || {
            let (guest, link) = qemu::Guest::boot_linked(&machine, log)?;
            told.listen(guest, link, chosen.len())
        });
        let failure = failure.err();
        Ok(Received {
            outcomes: told.outcomes,
            failure,
        })
    }
}

/// The job's bundle: cases, and those of their programs that the image does not have.
fn bundle(paths: &Paths, cases: &Cases, chosen: &[&Case], programs: &Programs) -> Result<Vec<u8>> {
    let mut builder = BundleBuilder::new();
    let names: BTreeSet<&str> = chosen.iter().map(|case| case.program()).collect();
    for name in names {
        if let Some(wasm) = programs.added(name) {
            let compiled = programs::precompile(paths, wasm)?;
            add_program(
                &mut builder,
                name,
                paths::read(wasm)?,
                paths::read(&compiled)?,
            )
            .map_err(refused)?;
        }
    }
    for (number, case) in chosen.iter().enumerate() {
        let folder = format!("/cases/{number:04}");
        add_case(&mut builder, &folder, case, cases.tree(case)).map_err(refused)?;
    }
    builder.build().map_err(refused)
}

type Built = std::result::Result<(), BuildError>;

fn add_program(
    builder: &mut BundleBuilder<'_>,
    name: &str,
    wasm: Vec<u8>,
    compiled: Vec<u8>,
) -> Built {
    builder.file(&format!("/bin/{name}.wasm"), wasm, 0, true)?;
    let added = builder.file(&format!("/bin/{name}.cwasm"), compiled, 0, true);
    added.map(drop)
}

fn add_case(builder: &mut BundleBuilder<'_>, folder: &str, case: &Case, tree: &Tree) -> Built {
    let variables = case.environment();
    let variables: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let rights = if case.read_only {
        "read-only"
    } else {
        "read-write"
    };
    let files = [
        ("arguments", ended_by_zeros(&case.run)),
        ("environment", ended_by_zeros(&variables)),
        ("rights", rights.into()),
        ("stdin", case.stdin.clone().into()),
    ];
    for (name, contents) in files {
        builder.file(&format!("{folder}/{name}"), contents, 0, false)?;
    }
    tree.bundle(builder, &format!("{folder}/tree"))
}

fn ended_by_zeros(words: &[String]) -> Vec<u8> {
    let words = words.iter();
    words
        .flat_map(|word| [word.as_bytes(), &[0]].concat())
        .collect()
}

fn refused(error: BuildError) -> Failure {
    Failure::input("the bundle of the cases", error)
}

/// What was told so far.
#[derive(Default)]
struct Told {
    outcomes: Vec<Outcome>,
    current: Outcome,
    /// The file whose contents are coming.
    file: Option<String>,
}

impl Told {
    /// Listens until the machine is off; an error unless it told of all cases and ended well.
    fn listen(&mut self, mut guest: qemu::Guest, link: UnixStream, expected: usize) -> Result<()> {
        self.hear(&guest, link)?;
        match guest.wait()? {
            Ending::PowerOff if self.outcomes.len() == expected => Ok(()),
            Ending::PowerOff => Err(wrong(&format!(
                "it told of {} cases of {expected}",
                self.outcomes.len()
            ))),
            other => Err(Failure::Guest(format!(
                "the machine ended otherwise: {other:?}"
            ))),
        }
    }

    /// Hears until the other end hangs up.
    fn hear(&mut self, guest: &qemu::Guest, mut link: UnixStream) -> Result<()> {
        link.set_read_timeout(Some(PATIENCE))
            .map_err(|e| Failure::io("use", "the guest's second serial port", e))?;
        let mut decoder = Decoder::new();
        let mut buffer = vec![0; 32 << 10];
        let mut last_heard = Instant::now();
        loop {
            let len = match link.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(len) => len,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    check_patience(guest, last_heard)?;
                    continue;
                }
                Err(e) => return Err(Failure::io("read", "the guest's second serial port", e)),
            };
            last_heard = Instant::now();
            let mut result = Ok(());
            decoder.feed(&buffer[..len], |message| {
                if result.is_ok() {
                    result = self.take(message);
                }
            });
            result?;
        }
    }

    fn take(&mut self, message: std::result::Result<Message<'_>, DecodeError>) -> Result<()> {
        match message.map_err(|e| Failure::Guest(format!("the host link is damaged: {e}")))? {
            Message::Hello { version: VERSION } => Ok(()),
            Message::Stdout(bytes) => add(&mut self.current.stdout, bytes),
            Message::Stderr(bytes) => add(&mut self.current.stderr, bytes),
            Message::Text(text) => {
                self.current.message.push_str(text);
                Ok(())
            }
            Message::TreeEntry(entry) => {
                self.entry(&entry);
                Ok(())
            }
            Message::TreeData(bytes) => self.data(bytes),
            Message::TreeEnd { entries } if entries as usize == self.current.tree.len() => Ok(()),
            Message::TreeEnd { .. } => Err(wrong("entries of a tree are missing")),
            Message::Exit { code } => {
                self.current.code = code;
                self.outcomes.push(std::mem::take(&mut self.current));
                Ok(())
            }
            other => Err(wrong(&format!("it said {other:?}"))),
        }
    }

    fn entry(&mut self, entry: &TreeEntry<'_>) {
        let path = entry.path.trim_start_matches('/').to_owned();
        self.file = Some(path.clone());
        let kind = match entry.kind {
            TreeKind::Directory => Kind::Directory,
            TreeKind::SymbolicLink { target } => Kind::Link(target.to_owned()),
            TreeKind::File { .. } => Kind::File(Vec::new()),
        };
        let modified_ns = entry.modified_ns;
        self.current.tree.insert(path, Entry { kind, modified_ns });
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        let path = self.file.as_ref();
        let entry = path.and_then(|path| self.current.tree.get_mut(path));
        match entry.map(|entry| &mut entry.kind) {
            Some(Kind::File(contents)) => add(contents, bytes),
            _ => Err(wrong("contents without a file")),
        }
    }
}

/// Bytes of one text or file that are taken, at most.
const LEN_BYTES_MAX: usize = 64 << 20;

fn add(to: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    if to.len() + bytes.len() > LEN_BYTES_MAX {
        return Err(wrong("it does not end"));
    }
    to.extend_from_slice(bytes);
    Ok(())
}

fn check_patience(guest: &qemu::Guest, last_heard: Instant) -> Result<()> {
    if let Some(line) = guest.line_with(&GIVEN_UP) {
        return Err(Failure::Guest(line));
    }
    if last_heard.elapsed() > SILENCE_MAX {
        return Err(wrong("it is silent"));
    }
    Ok(())
}

fn wrong(what: &str) -> Failure {
    Failure::Guest(format!(
        "the guest did not tell what came of its cases: {what}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(len_bytes: u64) -> Message<'static> {
        Message::TreeEntry(TreeEntry {
            path: "/d/f",
            modified_ns: 5,
            kind: TreeKind::File {
                len_bytes,
                executable: false,
            },
        })
    }

    #[test]
    fn a_conversation_becomes_an_outcome() {
        let mut told = Told::default();
        let said = [
            Message::Hello { version: VERSION },
            Message::Stdout(b"a"),
            Message::Stderr(b"b"),
            Message::Stdout(b"c"),
            Message::Text("p trapped"),
            file(2),
            Message::TreeData(b"xy"),
            Message::TreeEnd { entries: 1 },
            Message::Exit { code: 134 },
        ];
        for message in said {
            told.take(Ok(message)).unwrap();
        }
        let outcome = &told.outcomes[0];
        assert_eq!(outcome.stdout, b"ac");
        assert_eq!(outcome.stderr, b"b");
        assert_eq!((outcome.code, outcome.message.as_str()), (134, "p trapped"));
        assert_eq!(outcome.tree["d/f"].kind, Kind::File(b"xy".to_vec()));
        assert_eq!(told.current, Outcome::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |messages: &[Message<'_>]| {
            let mut told = Told::default();
            messages
                .iter()
                .any(|message| told.take(Ok(*message)).is_err())
        };
        assert!(refused(&[Message::TreeData(b"x")]));
        assert!(refused(&[file(0), Message::TreeEnd { entries: 2 }]));
        assert!(refused(&[Message::Hello { version: !VERSION }]));
        assert!(refused(&[Message::StdinEnd]));
        assert!(!refused(&[file(1), Message::TreeData(b"x")]));
    }
}
