//! One service: what is known of it, and what follows for it alone.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use lib_service_manifest::{Ready, RestartPolicy, Service, Start};

use crate::START_ATTEMPTS_MAX;
use crate::deadline::Deadline;
use crate::policy::{Action, Ending, RunId};
use crate::pulse::{Beat, Pulse};

pub(crate) const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;
const NOT_REPLACED: &str = "was not replaced: the new program ended before it was ready";

/// Where a service stands.
#[derive(Debug)]
pub(crate) enum State {
    /// It runs only when it is told to.
    Stopped {
        /// It has ended with code 0, and that was its whole work.
        has_finished: bool,
    },
    /// It starts as soon as it may.
    Waiting,
    /// It waits for the time of its next restart.
    BackingOff { until_ns: u64 },
    /// It has a process.
    Running { run: RunId, is_ready: bool },
    /// Its process is on its way out.
    Stopping(Leaving),
    /// It is given up; the text says why, as the end of a sentence.
    Failed(String),
}

/// A run that was asked to end.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub run: RunId,
    deadline: Deadline,
    is_killed: bool,
}

impl Leaving {
    fn deadline_ns(&self) -> Option<u64> {
        (!self.is_killed).then_some(self.deadline.at_ns())
    }

    fn tick(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        if !self.is_killed && self.deadline.is_over(now_ns) {
            self.is_killed = true;
            actions.push(Action::Kill { run: self.run });
        }
    }
}

/// A run that has to serve until a certain time.
#[derive(Debug)]
struct Starting {
    run: RunId,
    deadline: Deadline,
}

/// The run that is to take the place of the present one.
#[derive(Debug)]
pub(crate) struct Successor {
    pub run: RunId,
    pub spec: Arc<Service>,
}

/// A run that died while another was to take its place.
#[derive(Debug)]
struct Displaced {
    /// What it was started as.
    spec: Arc<Service>,
    ending: Ending,
}

/// A service.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What its present run was started as, or what its next one will be.
    pub spec: Arc<Service>,
    /// What it will be when its present run has ended.
    next_spec: Option<Arc<Service>>,
    /// Whether it is to run, as far as it depends on people.
    pub is_wanted: bool,
    /// Whether it has left the manifest.
    pub is_removed: bool,
    pub state: State,
    pub successor: Option<Successor>,
    /// The run whose place the present one has taken without having been ready: what it was counts, unless this one gets ready.
    displaced: Option<Displaced>,
    /// Runs that were replaced and have not ended yet.
    replaced: Vec<Leaving>,
    /// Runs that do not serve yet, and are killed if that lasts; at most the present one and its successor.
    starting: Vec<Starting>,
    /// What its present run owes, if that is ready and its manifest says so.
    pulse: Option<Pulse>,
    /// When it was restarted, in the present window; at most so many as its limit.
    restarts_ns: VecDeque<u64>,
    /// Whether its next start is a restart.
    is_restart: bool,
    has_been_ready: bool,
    /// Ends without having been ready, in a row.
    broken_starts: u32,
}

impl Entry {
    pub fn new(spec: Arc<Service>) -> Self {
        let is_wanted = spec.start == Start::AtOnce;
        Self {
            spec,
            next_spec: None,
            is_wanted,
            is_removed: false,
            state: match is_wanted {
                true => State::Waiting,
                false => State::Stopped {
                    has_finished: false,
                },
            },
            successor: None,
            displaced: None,
            replaced: Vec::new(),
            starting: Vec::new(),
            pulse: None,
            restarts_ns: VecDeque::new(),
            is_restart: false,
            has_been_ready: false,
            broken_starts: 0,
        }
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Whether a process of it exists, or is being made.
    pub fn is_alive(&self) -> bool {
        let has_main = matches!(self.state, State::Running { .. } | State::Stopping(_));
        has_main || self.successor.is_some() || !self.replaced.is_empty()
    }

    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Running { is_ready: true, .. })
    }

    /// Whether a run is to take another's place, or has and that one has not ended.
    pub fn is_being_replaced(&self) -> bool {
        self.successor.is_some() || !self.replaced.is_empty()
    }

    pub fn has_finished(&self) -> bool {
        matches!(self.state, State::Stopped { has_finished: true })
    }

    /// Whether it runs, or will without anybody's doing, as far as it depends on itself.
    pub fn is_kept(&self) -> bool {
        let is_up_to_it = !matches!(self.state, State::Failed(_) | State::Stopped { .. });
        self.is_wanted && !self.is_removed && is_up_to_it
    }

    /// All runs of it.
    pub fn runs(&self) -> impl Iterator<Item = RunId> {
        let main = match &self.state {
            State::Running { run, .. } => Some(*run),
            State::Stopping(leaving) => Some(leaving.run),
            _ => None,
        };
        let successor = self.successor.as_ref().map(|successor| successor.run);
        let replaced = self.replaced.iter().map(|leaving| leaving.run);
        main.into_iter().chain(successor).chain(replaced)
    }

    /// Restarts in the present window.
    pub fn restarts(&self) -> u32 {
        self.restarts_ns.len() as u32
    }

    /// What was held against it is forgotten.
    pub fn forgive(&mut self) {
        self.restarts_ns.clear();
        self.is_restart = false;
        self.broken_starts = 0;
        self.has_been_ready = false;
    }

    /// It is given up.
    pub fn fail(&mut self, why: String, actions: &mut Vec<Action>) {
        actions.push(Action::Note {
            service: self.spec.name.clone(),
            text: format!("has failed: {why}"),
            is_grave: true,
        });
        actions.push(Action::EmptyEscrow {
            service: self.spec.name.clone(),
        });
        self.state = State::Failed(why);
    }

    pub fn note(&self, text: impl Into<String>, actions: &mut Vec<Action>) {
        actions.push(Action::Note {
            service: self.spec.name.clone(),
            text: text.into(),
            is_grave: false,
        });
    }

    /// A new run begins.
    pub fn start(&mut self, run: RunId, now_ns: u64, actions: &mut Vec<Action>) {
        if core::mem::take(&mut self.is_restart) {
            self.restarts_ns.push_back(now_ns);
        }
        self.state = State::Running {
            run,
            is_ready: false,
        };
        self.expect(run, &Arc::clone(&self.spec), now_ns);
        actions.push(Action::Start {
            service: Arc::clone(&self.spec),
            run,
        });
    }

    /// A run begins that is to take the present one's place.
    pub fn start_successor(
        &mut self,
        run: RunId,
        spec: &Arc<Service>,
        now_ns: u64,
        actions: &mut Vec<Action>,
    ) {
        self.expect(run, spec, now_ns);
        self.successor = Some(Successor {
            run,
            spec: Arc::clone(spec),
        });
        actions.push(Action::Start {
            service: Arc::clone(spec),
            run,
        });
    }

    /// A new run is to serve in time, if it is to serve at all.
    fn expect(&mut self, run: RunId, spec: &Service, now_ns: u64) {
        if spec.ready == Ready::Serving {
            let deadline = Deadline::after(now_ns, spec.start_deadline_ms);
            self.starting.push(Starting { run, deadline });
        }
    }

    fn expect_no_more(&mut self, run: RunId) {
        self.starting.retain(|starting| starting.run != run);
    }

    /// Its present run is asked to end, and one that was to take its place too.
    pub fn begin_stop(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        let State::Running { run, is_ready } = self.state else {
            return;
        };
        if is_ready {
            self.unbind(actions);
        }
        self.pulse = None;
        self.drop_successor(now_ns, actions);
        self.state = State::Stopping(self.ask_to_end(run, now_ns, actions));
    }

    /// A run that was to take the present one's place is not to any more.
    pub fn drop_successor(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        if let Some(successor) = self.successor.take() {
            let leaving = self.ask_to_end(successor.run, now_ns, actions);
            self.replaced.push(leaving);
        }
    }

    fn ask_to_end(&mut self, run: RunId, now_ns: u64, actions: &mut Vec<Action>) -> Leaving {
        self.expect_no_more(run);
        actions.push(Action::AskToEnd { run });
        Leaving {
            run,
            deadline: Deadline::after(now_ns, self.spec.stop_deadline_ms),
            is_killed: false,
        }
    }

    fn bind(&self, run: RunId, actions: &mut Vec<Action>) {
        actions.push(Action::Bind {
            service: self.spec.name.clone(),
            run,
        });
    }

    fn unbind(&self, actions: &mut Vec<Action>) {
        actions.push(Action::Unbind {
            service: self.spec.name.clone(),
        });
    }

    /// A run of it has come as far as `reached`; ready, if that is all that it has to reach.
    pub fn reached(&mut self, run: RunId, reached: Ready, now_ns: u64, actions: &mut Vec<Action>) {
        match (&mut self.state, &self.successor) {
            (
                State::Running {
                    run: main,
                    is_ready,
                },
                _,
            ) if *main == run && !*is_ready && self.spec.ready == reached => {
                *is_ready = true;
                self.displaced = None;
                self.expect_no_more(run);
                self.pulse = Pulse::begin(&self.spec, now_ns);
                self.has_been_ready = true;
                self.broken_starts = 0;
                self.bind(run, actions);
                self.note("is ready", actions);
            }
            (_, Some(successor)) if successor.run == run && successor.spec.ready == reached => {
                self.hand_over(now_ns, actions);
            }
            _ => {}
        }
    }

    /// The successor is ready: calls go to it from now on, and the present run is asked to end.
    fn hand_over(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        let (State::Running { run: old, .. }, Some(successor)) =
            (&self.state, self.successor.take())
        else {
            return;
        };
        let old = *old;
        self.expect_no_more(successor.run);
        self.bind(successor.run, actions);
        let leaving = self.ask_to_end(old, now_ns, actions);
        self.replaced.push(leaving);
        self.spec = successor.spec;
        self.pulse = Pulse::begin(&self.spec, now_ns);
        self.state = State::Running {
            run: successor.run,
            is_ready: true,
        };
        self.note("was replaced", actions);
    }

    /// A run of it has ended.
    pub fn ended(&mut self, run: RunId, ending: Ending, now_ns: u64, actions: &mut Vec<Action>) {
        self.replaced.retain(|leaving| leaving.run != run);
        self.expect_no_more(run);
        if self.successor.as_ref().is_some_and(|next| next.run == run) {
            self.successor = None;
            self.note(NOT_REPLACED, actions);
        }
        match self.state {
            State::Stopping(ref leaving) if leaving.run == run => self.has_stopped(actions),
            State::Running {
                run: main,
                is_ready,
            } if main == run => {
                self.pulse = None;
                // A successor may be bound already, as far as its clients see.
                if is_ready && self.successor.is_none() {
                    self.unbind(actions);
                }
                if !self.promote_successor(ending, actions) {
                    let (was_ready, ending) = self.give_place_back(is_ready, ending, actions);
                    self.has_died(was_ready, ending, now_ns, actions);
                }
            }
            _ => {}
        }
    }

    /// It ended because it was asked to.
    fn has_stopped(&mut self, actions: &mut Vec<Action>) {
        self.note("has stopped", actions);
        self.give_place_back(false, Ending::Clean, actions);
        self.state = if self.is_wanted {
            State::Waiting
        } else {
            State::Stopped {
                has_finished: false,
            }
        };
        if let Some(spec) = self.next_spec.take() {
            self.spec = spec;
        }
    }

    /// A successor that is not ready yet takes the place of a run that has died.
    fn promote_successor(&mut self, ending: Ending, actions: &mut Vec<Action>) -> bool {
        let Some(successor) = self.successor.take() else {
            return false;
        };
        let spec = core::mem::replace(&mut self.spec, successor.spec);
        self.displaced = Some(Displaced { spec, ending });
        self.state = State::Running {
            run: successor.run,
            is_ready: false,
        };
        self.note("ended while it was being replaced", actions);
        true
    }

    /// Its run has ended. If that had taken another one's place and never got ready, all is as if only the other one had been,
    /// which was ready: how that one ended counts.
    fn give_place_back(
        &mut self,
        was_ready: bool,
        ending: Ending,
        actions: &mut Vec<Action>,
    ) -> (bool, Ending) {
        let Some(displaced) = self.displaced.take() else {
            return (was_ready, ending);
        };
        self.spec = displaced.spec;
        self.note(NOT_REPLACED, actions);
        (true, displaced.ending)
    }

    /// It ended, and nobody had asked it to.
    fn has_died(
        &mut self,
        was_ready: bool,
        ending: Ending,
        now_ns: u64,
        actions: &mut Vec<Action>,
    ) {
        if !was_ready && !self.has_been_ready {
            self.broken_starts += 1;
        }
        match (self.spec.restart.policy, ending) {
            (RestartPolicy::Never | RestartPolicy::OnFailure, Ending::Clean) => {
                self.note("has finished", actions);
                self.state = State::Stopped { has_finished: true };
            }
            (RestartPolicy::Never, Ending::Failed) => {
                self.fail("it ended, and is not to be started again".into(), actions);
            }
            (RestartPolicy::Always, _) | (RestartPolicy::OnFailure, Ending::Failed) => {
                self.back_off(now_ns, actions);
            }
        }
    }

    /// It is to be started again, some time later, unless that was tried too often.
    fn back_off(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        if self.broken_starts >= START_ATTEMPTS_MAX {
            let count = self.broken_starts;
            let why = format!(
                "it is left out, since it ended {count} times in a row before it was ready"
            );
            return self.fail(why, actions);
        }
        let restart = &self.spec.restart;
        let window_ns = restart.window_s.saturating_mul(NS_PER_S);
        self.restarts_ns
            .retain(|restart_ns| now_ns.saturating_sub(*restart_ns) <= window_ns);
        let (limit, window_s) = (restart.limit, restart.window_s);
        if self.restarts() >= limit {
            let restarts = if limit == 1 { "restart" } else { "restarts" };
            let why = format!("it ended again after {limit} {restarts} within {window_s} s");
            return self.fail(why, actions);
        }
        let factor = 1_u64.checked_shl(self.restarts()).unwrap_or(u64::MAX);
        let delay_ms = restart.backoff_ms.saturating_mul(factor);
        let delay_ms = delay_ms.min(restart.backoff_max_ms);
        self.note(format!("is started again in {delay_ms} ms"), actions);
        self.state = State::BackingOff {
            until_ns: now_ns.saturating_add(delay_ms.saturating_mul(NS_PER_MS)),
        };
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        for leaving in &mut self.replaced {
            leaving.tick(now_ns, actions);
        }
        self.end_late_starts(now_ns, actions);
        self.feel_pulse(now_ns, actions);
        match &mut self.state {
            State::Stopping(leaving) => leaving.tick(now_ns, actions),
            State::BackingOff { until_ns } if *until_ns <= now_ns => {
                self.is_restart = true;
                self.state = State::Waiting;
            }
            _ => {}
        }
    }

    fn end_late_starts(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        let late: Vec<RunId> = self
            .starting
            .extract_if(.., |starting| starting.deadline.is_over(now_ns))
            .map(|one| one.run)
            .collect();
        for run in late {
            self.note("did not serve in time", actions);
            actions.push(Action::Kill { run });
        }
    }

    fn feel_pulse(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        let State::Running { run, .. } = self.state else {
            return;
        };
        match self.pulse.as_mut().map(|pulse| pulse.tick(now_ns)) {
            Some(Beat::Ask) => actions.push(Action::Check { run }),
            Some(Beat::Missed(patience_ms)) => {
                let why = format!("gave no sign of life within {patience_ms} ms");
                self.end_unwell(run, why, actions);
            }
            None | Some(Beat::Quiet) => {}
        }
    }

    fn end_unwell(&mut self, run: RunId, why: String, actions: &mut Vec<Action>) {
        self.pulse = None;
        self.note(why, actions);
        actions.push(Action::Kill { run });
    }

    /// A run of it was well at that time.
    pub fn alive(&mut self, run: RunId, at_ns: u64) {
        if let Some(pulse) = self.pulse_of(run) {
            pulse.hear(at_ns);
        }
    }

    /// A run of it has said how it is: well, or why it is not.
    pub fn felt(
        &mut self,
        run: RunId,
        health: Result<(), String>,
        now_ns: u64,
        actions: &mut Vec<Action>,
    ) {
        match (self.pulse_of(run), health) {
            (Some(pulse), Ok(())) => pulse.hear(now_ns),
            (Some(_), Err(why)) => self.end_unwell(run, format!("is not well: {why}"), actions),
            (None, _) => {}
        }
    }

    fn pulse_of(&mut self, run: RunId) -> Option<&mut Pulse> {
        let is_main = matches!(self.state, State::Running { run: main, .. } if main == run);
        self.pulse.as_mut().filter(|_| is_main)
    }

    /// When something is due, if time alone makes it so.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let main = match &self.state {
            State::BackingOff { until_ns } => Some(*until_ns),
            State::Stopping(leaving) => leaving.deadline_ns(),
            _ => None,
        };
        let replaced = self.replaced.iter().filter_map(Leaving::deadline_ns);
        let starting = self
            .starting
            .iter()
            .map(|starting| starting.deadline.at_ns());
        let pulse = self.pulse.as_ref().map(Pulse::due_ns);
        let runs = replaced.chain(starting).chain(pulse);
        runs.chain(main).min()
    }

    /// The manifest says this of it now. A run that began as something else is asked to end.
    pub fn describe(&mut self, spec: &Arc<Service>, now_ns: u64, actions: &mut Vec<Action>) {
        self.is_removed = false;
        if self.next_spec.as_ref().unwrap_or(&self.spec) == spec && self.successor.is_none() {
            // Whoever stands in is what it is to be from now on, whatever was there before.
            if let Some(displaced) = &mut self.displaced {
                displaced.spec = Arc::clone(spec);
            }
            return;
        }
        self.note("has changed", actions);
        self.forgive();
        match self.state {
            State::Running { .. } => {
                self.next_spec = Some(Arc::clone(spec));
                self.begin_stop(now_ns, actions);
            }
            State::Stopping(_) => self.next_spec = Some(Arc::clone(spec)),
            State::Failed(_) | State::BackingOff { .. } => self.wait_as(spec),
            State::Stopped { has_finished } if has_finished && self.is_wanted => self.wait_as(spec),
            State::Stopped { .. } | State::Waiting => self.spec = Arc::clone(spec),
        }
    }

    fn wait_as(&mut self, spec: &Arc<Service>) {
        self.spec = Arc::clone(spec);
        self.state = State::Waiting;
    }

    /// It runs another program from its next start on.
    pub fn set_program(&mut self, spec: Arc<Service>) {
        match self.state {
            State::Stopping(_) => self.next_spec = Some(spec),
            _ => self.spec = spec,
        }
    }

    /// It is not to run any more, and has no run.
    pub fn rest(&mut self) {
        self.is_restart = false;
        self.state = State::Stopped {
            has_finished: false,
        };
    }

    /// Kills whatever runs; there is nothing to kill if the answer is empty.
    pub fn kill_all(&mut self) -> Vec<Action> {
        self.pulse = None;
        self.starting.clear();
        self.runs().map(|run| Action::Kill { run }).collect()
    }
}
