//! Keeps the system's log: `kpio:log/reader`. Its argument is how many KiB it keeps, 512 without one.
//!
//! Law: it is told that something was said (`kpio:log/source`) and takes it then; it does not ask in vain. What is kept is bounded
//! ([`journal`]), and so is who follows ([`followers`]). It says nothing itself for each line, or it would never be done.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

mod followers;
mod journal;

use std::cell::RefCell;

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:log/keeper",
    generate_all,
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
        "kpio:link/failure@0.1.0": sdk::link::failure,
        "kpio:log/types@0.1.0": sdk::log::types,
    },
}

use exports::kpio::log::reader::{self, InputStream, Part};
use exports::kpio::service::{health, reactions};
use followers::Followers;
use journal::Journal;
use kpio::log::source::Cursor;
use kpio::service::reactor;
use sdk::log::types::{Filter, LogError};

const KEPT_KIB_DEFAULT: usize = 512;
/// Lines that are taken at once.
const STEP_LINES: u32 = 64;
/// How often that is done before others have their turn.
const STEPS_MAX: usize = 32;
/// The token of what is said; those of followers are greater.
const SOURCE: u64 = 0;

struct Keeper {
    cursor: Cursor,
    journal: Journal,
    followers: Followers,
}

thread_local! {
    static KEEPER: RefCell<Keeper> = RefCell::new(Keeper::new());
}

impl Keeper {
    fn new() -> Keeper {
        let kib = std::env::args().nth(1).and_then(|word| word.parse().ok());
        Keeper {
            cursor: Cursor::new(),
            journal: Journal::new(kib.unwrap_or(KEPT_KIB_DEFAULT).saturating_mul(1024)),
            followers: Followers::default(),
        }
    }

    /// Takes what was said meanwhile; where more comes than is taken, the rest has its turn later.
    fn take(&mut self) {
        let mut lost_lines = 0;
        for _ in 0..STEPS_MAX {
            let (lines, lost) = self.cursor.read(STEP_LINES);
            lost_lines += lost;
            if lines.is_empty() {
                break;
            }
            lines.into_iter().for_each(|line| self.journal.push(line));
        }
        if lost_lines > 0 {
            eprintln!("{lost_lines} lines were lost before they were taken");
        }
    }

    /// Takes it, and tells those who follow.
    fn catch_up(&mut self) {
        self.take();
        self.followers.feed(&self.journal);
    }

    /// The same, and waits for more.
    fn go_on(&mut self) {
        self.catch_up();
        if let Err(error) = reactor::watch(self.cursor.subscribe(), SOURCE) {
            eprintln!("what is said from now on is seen when somebody asks: {error:?}");
        }
    }
}

struct Service;

impl reactions::Guest for Service {
    fn start() {
        with_keeper(Keeper::go_on);
    }

    fn ready(token: u64) {
        with_keeper(|keeper| match token {
            SOURCE => keeper.go_on(),
            follower => keeper.followers.feed_one(follower, &keeper.journal),
        });
    }
}

impl health::Guest for Service {
    /// It is asked between two calls, so it answers if those end.
    fn check() -> Result<(), String> {
        Ok(())
    }
}

impl reader::Guest for Service {
    fn read(from: u64, filter: Filter) -> Result<Part, LogError> {
        Ok(with_keeper(|keeper| {
            keeper.catch_up();
            keeper.journal.part(from, &filter)
        }))
    }

    fn tail(lines: u32, filter: Filter) -> Result<u64, LogError> {
        Ok(with_keeper(|keeper| {
            keeper.catch_up();
            keeper.journal.tail(lines, &filter)
        }))
    }

    fn follow(from: u64, filter: Filter) -> Result<InputStream, LogError> {
        with_keeper(|keeper| {
            keeper.catch_up();
            let (followers, journal) = (&mut keeper.followers, &keeper.journal);
            followers.add(from, filter, journal)
        })
    }
}

fn with_keeper<R>(work: impl FnOnce(&mut Keeper) -> R) -> R {
    KEEPER.with_borrow_mut(work)
}

export!(Service);
