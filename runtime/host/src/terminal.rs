//! The terminal behind a process's standard streams: which of them lead to it, how large it is, how it treats keys, and
//! who is in its foreground.
//!
//! Law: what a process has asked of a terminal is its claim, and goes with the process ([`TerminalDevice::release`]); the
//! latest claim holds, and when it goes the one before it holds again. There are at most as many claims as processes.
//! A job has the terminal before its first process exists: what a key asks of it is noted under the lock, and who joins later
//! obeys then. That Ctrl-C has asked it to end is known until the owner's next job begins: of a key that comes while the owner gives
//! the job up, either the job's owner or its reader learns.
//! The device's lock is taken alone: members are told to end or to stand still after it was let go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Awaited, Notifier, Subscribers};

/// One of the three streams that every process starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardStream {
    /// Standard input.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The terminal that a process was started on. Programs choose colour, buffering and line editing by it.
pub trait Terminal: Send + Sync {
    /// Whether `stream` leads to this terminal, rather than to a file or a pipe.
    fn is_attached(&self, stream: StandardStream) -> bool;

    /// What can be asked of the terminal itself, where that is anything.
    fn device(&self) -> Option<TerminalDevice> {
        None
    }
}

/// A terminal as one process has it.
pub struct AttachedTerminal {
    /// The terminal itself.
    pub device: TerminalDevice,
    /// Whether standard input comes from it.
    pub stdin: bool,
    /// Whether standard output goes to it.
    pub stdout: bool,
    /// Whether standard error goes to it.
    pub stderr: bool,
}

impl Terminal for AttachedTerminal {
    fn is_attached(&self, stream: StandardStream) -> bool {
        match stream {
            StandardStream::Stdin => self.stdin,
            StandardStream::Stdout => self.stdout,
            StandardStream::Stderr => self.stderr,
        }
    }

    fn device(&self) -> Option<TerminalDevice> {
        Some(self.device.clone())
    }
}

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

impl TerminalSize {
    /// What a terminal has of which nothing is known.
    pub const USUAL: TerminalSize = TerminalSize {
        columns: 80,
        rows: 24,
    };
}

/// How a terminal treats keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMode {
    /// Lines are edited by the terminal and arrive whole.
    Cooked,
    /// Every key arrives as it was typed.
    Raw,
}

/// A process that a terminal's keys end and suspend.
pub trait Controlled: Send + Sync {
    /// Tells it to end, with all that it started.
    fn kill(&self);
    /// Tells it to stand still, or to go on, with all that it started.
    fn suspend(&self, is_suspended: bool);
}

/// What a key that could end or suspend somebody means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMeaning {
    /// It was obeyed by the foreground.
    Obeyed,
    /// It is input.
    Input,
    /// Nobody has said who is in the foreground.
    Unclaimed,
}

/// A terminal. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct TerminalDevice(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Subscribers,
}

struct State {
    size: TerminalSize,
    /// Counts changes of the size.
    size_version: u64,
    /// The latest last.
    claims: Vec<Claim>,
}

struct Claim {
    owner: u64,
    mode: Option<KeyMode>,
    foreground: Option<Foreground>,
}

impl Claim {
    fn of(owner: u64) -> Self {
        Self {
            owner,
            mode: None,
            foreground: None,
        }
    }
}

#[derive(Clone, Default)]
struct Foreground {
    /// Whether it is a job, be it without processes yet; otherwise keys are for the owner itself.
    is_job: bool,
    members: Vec<Arc<dyn Controlled>>,
    asked: Asked,
    was_suspended: Arc<AtomicBool>,
}

/// What keys have asked of a job.
#[derive(Clone, Copy, Default)]
struct Asked {
    to_end: bool,
    to_stand_still: bool,
}

impl Asked {
    fn tell(self, member: &dyn Controlled) {
        if self.to_end {
            member.kill();
        }
        if self.to_stand_still {
            member.suspend(true);
        }
    }
}

impl TerminalDevice {
    /// A terminal without claims.
    pub fn new(size: TerminalSize) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                size,
                size_version: 0,
                claims: Vec::new(),
            }),
            changed: Subscribers::new(),
        }))
    }

    /// How large it is.
    pub fn size(&self) -> TerminalSize {
        self.0.lock().size
    }

    /// Says how large it is.
    pub fn set_size(&self, size: TerminalSize) {
        let mut state = self.0.lock();
        if state.size != size {
            state.size = size;
            state.size_version += 1;
        }
        drop(state);
        self.0.changed.notify_all();
    }

    /// Ready once the size has changed after this call.
    pub fn size_change(&self) -> Arc<dyn Awaited> {
        Arc::new(SizeChange {
            terminal: self.clone(),
            known_version: self.0.lock().size_version,
        })
    }

    /// How it treats keys now.
    pub fn mode(&self) -> KeyMode {
        let state = self.0.lock();
        let mut modes = state.claims.iter().rev().filter_map(|claim| claim.mode);
        modes.next().unwrap_or(KeyMode::Cooked)
    }

    /// Has it treat keys as the process `owner` wants.
    pub fn set_mode(&self, owner: u64, mode: KeyMode) {
        let mut state = self.0.lock();
        state.renew(owner).mode = Some(mode);
        drop(state);
        self.0.changed.notify_all();
    }

    /// Has Ctrl-C end, and Ctrl-Z suspend, `members`, as the process `owner` wants; with nobody in it both are input.
    pub fn set_foreground(&self, owner: u64, members: Vec<Arc<dyn Controlled>>) {
        self.replace_foreground(
            owner,
            Foreground {
                is_job: !members.is_empty(),
                members,
                ..Foreground::default()
            },
        );
    }

    /// Has the keys be for a job of the process `owner` that has no members yet.
    pub fn begin_foreground(&self, owner: u64) {
        self.replace_foreground(
            owner,
            Foreground {
                is_job: true,
                ..Foreground::default()
            },
        );
    }

    fn replace_foreground(&self, owner: u64, mut foreground: Foreground) {
        let mut state = self.0.lock();
        let claim = state.renew(owner);
        let before = claim.foreground.take();
        // Who was interrupted last is still asked for where no job follows.
        foreground.asked.to_end =
            !foreground.is_job && before.as_ref().is_some_and(|set| set.asked.to_end);
        claim.foreground = Some(foreground);
        drop(state);
        // Members are let go without the lock: the last handle on a process may be among them.
        drop(before);
        self.0.changed.notify_all();
    }

    /// Adds a member to the job of the process `owner`. It is told what keys have asked of the job so far. Who has begun none begins
    /// one by this; a claim that came meanwhile stays in front.
    pub fn join_foreground(&self, owner: u64, member: Arc<dyn Controlled>) {
        let mut state = self.0.lock();
        let foreground = state.claim(owner).foreground.get_or_insert_default();
        if !foreground.is_job {
            // What was asked of the last job is not asked of this one.
            foreground.asked = Asked::default();
            foreground.is_job = true;
        }
        foreground.members.push(Arc::clone(&member));
        let asked = foreground.asked;
        drop(state);
        asked.tell(&*member);
    }

    /// Whether Ctrl-C has asked the job of the process `owner` to end, or its last one where it has none now.
    pub fn was_interrupted(&self, owner: u64) -> bool {
        let state = self.0.lock();
        let claim = state.claims.iter().find(|claim| claim.owner == owner);
        let foreground = claim.and_then(|claim| claim.foreground.as_ref());
        foreground.is_some_and(|set| set.asked.to_end)
    }

    /// Whether a Ctrl-C that comes now, or has just come, is for a job and no input.
    pub fn is_jobs(&self) -> bool {
        self.mode() == KeyMode::Cooked && self.0.lock().foreground().is_some_and(|set| set.is_job)
    }

    /// Ready once Ctrl-Z has suspended the foreground that the process `owner` has set; never where it has set none.
    pub fn suspension(&self, owner: u64) -> Arc<dyn Awaited> {
        let state = self.0.lock();
        let claim = state.claims.iter().find(|claim| claim.owner == owner);
        let foreground = claim.and_then(|claim| claim.foreground.as_ref());
        Arc::new(Suspension {
            terminal: self.clone(),
            was_suspended: foreground
                .map_or_else(Arc::default, |set| Arc::clone(&set.was_suspended)),
        })
    }

    /// Takes back everything that the process `owner` has asked for.
    pub fn release(&self, owner: u64) {
        let mut state = self.0.lock();
        let claims = std::mem::take(&mut state.claims);
        let (gone, kept) = claims.into_iter().partition(|claim| claim.owner == owner);
        state.claims = kept;
        drop(state);
        let _let_go_without_the_lock: Vec<Claim> = gone;
        self.0.changed.notify_all();
    }

    /// Ctrl-C.
    pub fn interrupt(&self) -> KeyMeaning {
        let to_end = Asked {
            to_end: true,
            ..Asked::default()
        };
        self.tell(to_end).0
    }

    /// Ctrl-Z.
    pub fn suspend(&self) -> KeyMeaning {
        let to_stand_still = Asked {
            to_stand_still: true,
            ..Asked::default()
        };
        let (meaning, job) = self.tell(to_stand_still);
        if let Some(job) = job {
            // Only now: its owner may let the members go on as soon as it sees this.
            job.was_suspended.store(true, Ordering::Release);
            self.0.changed.notify_all();
        }
        meaning
    }

    /// Notes what is asked of the foreground and tells its members; the job, if it is one.
    fn tell(&self, asked: Asked) -> (KeyMeaning, Option<Foreground>) {
        let mut state = self.0.lock();
        let Some(foreground) = state.foreground() else {
            return (KeyMeaning::Unclaimed, None);
        };
        if !foreground.is_job {
            return (KeyMeaning::Input, None);
        }
        foreground.asked.to_end |= asked.to_end;
        foreground.asked.to_stand_still |= asked.to_stand_still;
        let job = foreground.clone();
        drop(state);
        job.members.iter().for_each(|member| asked.tell(&**member));
        (KeyMeaning::Obeyed, Some(job))
    }

    /// Whether a job takes every key itself: then the screen is most likely its picture, in which nobody else is to write.
    pub fn is_drawn_on(&self) -> bool {
        self.mode() == KeyMode::Raw && self.0.lock().foreground().is_some_and(|set| set.is_job)
    }

    /// Has `notifier` notified whenever its size or mode, or who is in its foreground, may have changed.
    pub fn subscribe(&self, notifier: &Notifier) {
        self.0.changed.add(notifier);
    }

    /// Whether somebody has said who is in the foreground, be it nobody: then there is a shell, which outlives those that
    /// read the keys.
    pub fn has_foreground(&self) -> bool {
        self.0.lock().foreground().is_some()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The claim of `owner`, as the latest.
    fn renew(&mut self, owner: u64) -> &mut Claim {
        let found = self.claims.iter().position(|claim| claim.owner == owner);
        let claim = match found {
            Some(index) => self.claims.remove(index),
            None => Claim::of(owner),
        };
        self.claims.push_mut(claim)
    }

    /// The claim of `owner`, wherever it stands; the latest, where it is new.
    fn claim(&mut self, owner: u64) -> &mut Claim {
        let found = self.claims.iter().position(|claim| claim.owner == owner);
        match found {
            Some(index) => &mut self.claims[index],
            None => self.claims.push_mut(Claim::of(owner)),
        }
    }

    /// The foreground of the latest claim that has one.
    fn foreground(&mut self) -> Option<&mut Foreground> {
        let latest_first = self.claims.iter_mut().rev();
        latest_first.filter_map(|c| c.foreground.as_mut()).next()
    }
}

struct SizeChange {
    terminal: TerminalDevice,
    known_version: u64,
}

impl Awaited for SizeChange {
    fn is_ready(&self) -> bool {
        self.terminal.0.lock().size_version != self.known_version
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.terminal.0.changed.add(notifier);
    }
}

struct Suspension {
    terminal: TerminalDevice,
    was_suspended: Arc<AtomicBool>,
}

impl Awaited for Suspension {
    fn is_ready(&self) -> bool {
        self.was_suspended.load(Ordering::Acquire)
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.terminal.0.changed.add(notifier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Member {
        is_killed: AtomicBool,
        is_suspended: AtomicBool,
    }

    impl Controlled for Member {
        fn kill(&self) {
            self.is_killed.store(true, Ordering::Relaxed);
        }

        fn suspend(&self, is_suspended: bool) {
            self.is_suspended.store(is_suspended, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_latest_claim_holds_and_goes_with_its_owner() {
        let terminal = TerminalDevice::new(TerminalSize::USUAL);
        assert_eq!(terminal.mode(), KeyMode::Cooked);
        terminal.set_mode(1, KeyMode::Raw);
        terminal.set_mode(2, KeyMode::Cooked);
        assert_eq!(terminal.mode(), KeyMode::Cooked);
        terminal.release(2);
        assert_eq!(terminal.mode(), KeyMode::Raw);
        terminal.set_mode(2, KeyMode::Cooked);
        terminal.set_mode(1, KeyMode::Raw);
        assert_eq!(terminal.mode(), KeyMode::Raw);
        terminal.release(1);
        terminal.release(2);
        assert_eq!(terminal.mode(), KeyMode::Cooked);
    }

    #[test]
    fn keys_reach_the_foreground_that_was_set_last() {
        let terminal = TerminalDevice::new(TerminalSize::USUAL);
        assert_eq!(terminal.interrupt(), KeyMeaning::Unclaimed);
        terminal.set_foreground(1, Vec::new());
        assert_eq!(terminal.interrupt(), KeyMeaning::Input);
        let member = Arc::new(Member::default());
        terminal.set_foreground(1, vec![Arc::clone(&member) as Arc<dyn Controlled>]);
        let suspension = terminal.suspension(1);
        assert!(!suspension.is_ready());
        assert_eq!(terminal.suspend(), KeyMeaning::Obeyed);
        assert!(suspension.is_ready() && member.is_suspended.load(Ordering::Relaxed));
        assert_eq!(terminal.interrupt(), KeyMeaning::Obeyed);
        assert!(member.is_killed.load(Ordering::Relaxed));
        terminal.release(1);
        assert_eq!(Arc::strong_count(&member), 1);
        assert_eq!(terminal.interrupt(), KeyMeaning::Unclaimed);
    }

    #[test]
    fn a_job_has_the_terminal_before_it_has_members() {
        let terminal = TerminalDevice::new(TerminalSize::USUAL);
        terminal.set_foreground(1, Vec::new());
        assert!(!terminal.is_jobs());
        terminal.begin_foreground(1);
        assert!(terminal.is_jobs() && !terminal.was_interrupted(1));
        let [early, late, later] = [(); 3].map(|()| Arc::new(Member::default()));
        let is_killed = |member: &Member| member.is_killed.load(Ordering::Relaxed);
        let is_suspended = |member: &Member| member.is_suspended.load(Ordering::Relaxed);
        terminal.join_foreground(1, Arc::clone(&early) as _);
        assert!(!is_killed(&early) && !is_suspended(&early));
        assert_eq!(terminal.suspend(), KeyMeaning::Obeyed);
        terminal.join_foreground(1, Arc::clone(&late) as _);
        assert!(is_suspended(&early) && is_suspended(&late) && !is_killed(&late));
        assert_eq!(terminal.interrupt(), KeyMeaning::Obeyed);
        terminal.join_foreground(1, Arc::clone(&later) as _);
        assert!(
            [&early, &late, &later]
                .iter()
                .all(|member| is_killed(member))
        );
        assert!(terminal.was_interrupted(1) && !terminal.was_interrupted(2));
        // The next job has nothing to do with it.
        terminal.begin_foreground(1);
        assert!(!terminal.was_interrupted(1) && Arc::strong_count(&early) == 1);
        assert_eq!(terminal.interrupt(), KeyMeaning::Obeyed);
        assert!(terminal.was_interrupted(1));
    }

    #[test]
    fn an_interrupt_is_known_when_the_job_was_given_up() {
        let terminal = TerminalDevice::new(TerminalSize::USUAL);
        terminal.begin_foreground(1);
        assert_eq!(terminal.interrupt(), KeyMeaning::Obeyed);
        terminal.set_foreground(1, Vec::new());
        assert!(terminal.was_interrupted(1));
        assert_eq!(terminal.interrupt(), KeyMeaning::Input);
        terminal.begin_foreground(1);
        assert!(!terminal.was_interrupted(1));
        // What is input asks nobody to end.
        terminal.set_foreground(1, Vec::new());
        assert_eq!(terminal.interrupt(), KeyMeaning::Input);
        assert!(!terminal.was_interrupted(1));
        // Nor does who begins a job by joining one have to do with the last.
        terminal.begin_foreground(1);
        assert_eq!(terminal.interrupt(), KeyMeaning::Obeyed);
        terminal.set_foreground(1, Vec::new());
        let member = Arc::new(Member::default());
        terminal.join_foreground(1, Arc::clone(&member) as _);
        assert!(!member.is_killed.load(Ordering::Relaxed) && !terminal.was_interrupted(1));
    }

    #[test]
    fn who_joins_a_job_leaves_the_keys_with_a_later_claim() {
        let terminal = TerminalDevice::new(TerminalSize::USUAL);
        terminal.begin_foreground(1);
        terminal.set_foreground(2, Vec::new());
        terminal.join_foreground(1, Arc::new(Member::default()));
        assert_eq!(terminal.interrupt(), KeyMeaning::Input);
        terminal.release(2);
        assert_eq!(terminal.interrupt(), KeyMeaning::Obeyed);
        assert!(terminal.is_jobs() && !terminal.is_drawn_on());
        terminal.set_mode(3, KeyMode::Raw);
        assert!(!terminal.is_jobs() && terminal.is_drawn_on());
        terminal.set_foreground(1, Vec::new());
        assert!(!terminal.is_drawn_on());
    }

    #[test]
    fn a_change_of_size_is_told_once_it_came() {
        let terminal = TerminalDevice::new(TerminalSize::USUAL);
        let change = terminal.size_change();
        terminal.set_size(TerminalSize::USUAL);
        assert!(!change.is_ready());
        let wider = TerminalSize {
            columns: 132,
            rows: 50,
        };
        terminal.set_size(wider);
        assert!(change.is_ready());
        assert_eq!(terminal.size(), wider);
        assert!(!terminal.size_change().is_ready());
    }
}
