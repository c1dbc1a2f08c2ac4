//! One case, as the host put it into the job's bundle.
//!
//! Layout: a folder of `/cases` each. `arguments`, each ended by a zero byte, the program's name first; `environment`, each
//! `NAME=VALUE` ended by a zero byte; `stdin`; `rights`, which is `read-only` or `read-write`; `tree`, the folder that becomes
//! the program's `/`. All of them are there.

use std::sync::{Arc, Mutex, PoisonError};

use lib_bundle::Bundle;
use runtime_exchange::image;
use runtime_host::{Budget, ByteSource, FileTree, Notifier, Read, StreamFailure};
use runtime_supervisor::Rights;

/// A case.
pub struct Case {
    /// The program's name.
    pub name: String,
    /// Its arguments after its name.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// What it may do in its tree.
    pub rights: Rights,
    stdin: &'static [u8],
    bundle: Bundle<'static>,
    folder: &'static str,
}

/// The folders of all cases, in order.
pub fn folders(bundle: Bundle<'static>) -> impl Iterator<Item = &'static str> {
    bundle.children("/cases").map(|entry| entry.path())
}

impl Case {
    /// Reads the case in `folder`.
    pub fn read(bundle: Bundle<'static>, folder: &'static str) -> Result<Self, String> {
        let file = |name: &str| {
            let path = format!("{folder}/{name}");
            let entry = bundle.get(&path).ok_or(format!("{path} is missing"))?;
            image::contents(entry)
        };
        let mut command = words(file("arguments")?)?.into_iter();
        let rights = match file("rights")? {
            b"read-only" => Rights::ReadOnly,
            b"read-write" => Rights::ReadWrite,
            _ => return Err(format!("{folder} says something unknown about rights")),
        };
        Ok(Self {
            name: command.next().ok_or(format!("{folder} names no program"))?,
            arguments: command.collect(),
            environment: pairs(&words(file("environment")?)?),
            rights,
            stdin: file("stdin")?,
            bundle,
            folder,
        })
    }

    /// Its tree, made anew.
    pub fn tree(&self, budget: Budget) -> Result<FileTree, String> {
        image::tree(Some(self.bundle), &format!("{}/tree", self.folder), budget)
    }

    /// Its standard input, from the start.
    pub fn stdin(&self) -> Arc<dyn ByteSource> {
        Arc::new(Input(Mutex::new(self.stdin)))
    }
}

fn words(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a case's words are not UTF-8")?;
    Ok(text.split_terminator('\0').map(str::to_owned).collect())
}

fn pairs(words: &[String]) -> Vec<(String, String)> {
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Bytes that are all there, and then the end.
struct Input(Mutex<&'static [u8]>);

impl ByteSource for Input {
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.is_empty() && !buffer.is_empty() {
            return Ok(Read::End);
        }
        let (taken, rest) = left.split_at(buffer.len().min(left.len()));
        buffer[..taken.len()].copy_from_slice(taken);
        *left = rest;
        Ok(Read::Bytes(taken.len()))
    }

    fn is_readable(&self) -> bool {
        true
    }

    fn subscribe(&self, _notifier: &Notifier) {
        // It is always readable.
    }
}
