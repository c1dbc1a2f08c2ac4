//! Jobs: pipelines that the shell has started and not yet forgotten.
//!
//! Law: a pipeline is one job, whose status is that of its last part. A job is forgotten when somebody has been told
//! how it ended: by `wait`, by `jobs`, or in front of a prompt. A subshell can name its parent's jobs until it has one of its own;
//! they are not its to wait for.

use crate::shell::{INTERRUPTED, Shell, Status, Unwind};
use crate::system::{self, Child, Exit};

/// How many jobs are remembered. The oldest that have ended are forgotten first.
const JOBS_MAX: usize = 256;

/// A part of a pipeline.
#[derive(Clone)]
pub enum Stage {
    /// A process.
    Process {
        /// What it is called in messages.
        name: String,
        /// The process itself.
        child: Child,
        /// How it ended.
        exit: Option<Exit>,
    },
    /// It was done at once, by the shell.
    Done(Status),
}

impl Stage {
    /// A process that was to be started; a status where that failed.
    pub fn started(name: String, started: Result<Child, Status>) -> Self {
        match started {
            Ok(child) => Self::Process {
                name,
                child,
                exit: None,
            },
            Err(status) => Self::Done(status),
        }
    }
}

/// A pipeline that was started.
#[derive(Clone)]
pub struct Job {
    /// Its number, from 1 on.
    pub number: usize,
    /// As it was written.
    pub command: String,
    /// Its parts.
    pub stages: Vec<Stage>,
    /// Whether it stands still.
    pub is_suspended: bool,
}

impl Job {
    /// A job without a number yet.
    pub fn new(command: String, stages: Vec<Stage>) -> Self {
        Self {
            number: 0,
            command,
            stages,
            is_suspended: false,
        }
    }

    /// Asks which of its processes have ended.
    pub fn update(&mut self) {
        for stage in &mut self.stages {
            if let Stage::Process { child, exit, .. } = stage
                && exit.is_none()
            {
                *exit = child.try_wait();
            }
        }
    }

    /// Its processes that have not ended, as far as is known.
    pub fn running(&self) -> Vec<&Child> {
        let running = self.stages.iter().filter_map(|stage| match stage {
            Stage::Process {
                child, exit: None, ..
            } => Some(child),
            _ => None,
        });
        running.collect()
    }

    /// Whether all have ended.
    pub fn is_done(&self) -> bool {
        self.running().is_empty()
    }

    /// How each of them ended.
    pub fn statuses(&self) -> Vec<Status> {
        let statuses = self.stages.iter().map(|stage| match stage {
            Stage::Process { exit, .. } => exit.as_ref().map_or(0, |exit| exit.code),
            Stage::Done(status) => *status,
        });
        statuses.collect()
    }

    /// How the last of them ended.
    pub fn status(&self) -> Status {
        self.statuses().last().copied().unwrap_or_default()
    }

    /// The number of its last process.
    pub fn id(&self) -> Option<u64> {
        self.stages.iter().rev().find_map(|stage| match stage {
            Stage::Process { child, .. } => Some(child.id()),
            Stage::Done(_) => None,
        })
    }

    /// Whether one of its processes has this number.
    pub fn has_process(&self, id: u64) -> bool {
        self.stages
            .iter()
            .any(|stage| matches!(stage, Stage::Process { child, .. } if child.id() == id))
    }

    /// Ends all its processes. One that stands still goes on, so that it can end.
    pub fn kill(&self) {
        for child in self.running() {
            child.kill();
            child.suspend(false);
        }
    }

    /// Waits until all its processes have ended.
    pub fn await_end(&mut self) {
        self.update();
        while !self.is_done() {
            system::wait_for_any(&self.running(), false);
            self.update();
        }
    }

    /// Lets all its processes stand still, or go on.
    pub fn suspend(&mut self, is_suspended: bool) {
        self.is_suspended = is_suspended;
        self.running()
            .iter()
            .for_each(|child| child.suspend(is_suspended));
    }

    /// Whether Ctrl-C, or another request to end, has ended a part of it.
    pub fn was_interrupted(&self) -> bool {
        let is_interrupted = |exit: &Exit| exit.code == INTERRUPTED && exit.message.is_some();
        self.stages.iter().any(|stage| matches!(stage, Stage::Process { exit: Some(exit), .. } if is_interrupted(exit)))
    }

    /// What the parts that did not end of their own will have to say.
    pub fn messages(&self) -> Vec<String> {
        let messages = self.stages.iter().filter_map(|stage| match stage {
            Stage::Process {
                name,
                exit:
                    Some(Exit {
                        code,
                        message: Some(message),
                    }),
                ..
            } if *code != INTERRUPTED => Some(format!("{name}: {message}")),
            _ => None,
        });
        messages.collect()
    }

    /// A line about it, as `jobs` shows it.
    pub fn line(&self, is_current: bool) -> String {
        let state = match (self.is_done(), self.is_suspended, self.status()) {
            (true, _, 0) => "Done".into(),
            (true, _, INTERRUPTED) => "Terminated".into(),
            (true, _, status) => format!("Exit {status}"),
            (false, true, _) => "Stopped".into(),
            (false, false, _) => "Running".into(),
        };
        format!(
            "[{}]{}  {state:<24}{}\n",
            self.number,
            if is_current { '+' } else { ' ' },
            self.command
        )
    }
}

/// All jobs, by number.
#[derive(Default)]
pub struct Jobs {
    jobs: Vec<Job>,
    /// Whether they are the parent's.
    are_inherited: bool,
}

impl Jobs {
    /// What a subshell knows of them.
    pub fn for_subshell(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            are_inherited: true,
        }
    }

    /// Whether the shell has started some itself.
    pub fn has_own(&self) -> bool {
        !self.are_inherited && !self.jobs.is_empty()
    }

    /// The numbers of those that `wait` without arguments means.
    pub fn awaited(&self) -> Vec<usize> {
        let awaited = self
            .iter()
            .filter(|job| !job.is_suspended && self.has_own());
        awaited.map(|job| job.number).collect()
    }

    /// Remembers a job and gives it a number.
    pub fn add(&mut self, mut job: Job) -> usize {
        if std::mem::take(&mut self.are_inherited) {
            self.jobs.clear();
        }
        if self.jobs.len() >= JOBS_MAX
            && let Some(index) = self.jobs.iter().position(Job::is_done)
        {
            self.jobs.remove(index);
        }
        job.number = self.jobs.last().map_or(1, |last| last.number + 1);
        let number = job.number;
        self.jobs.push(job);
        number
    }

    /// Asks all of them how they are.
    pub fn update(&mut self) {
        self.jobs.iter_mut().for_each(Job::update);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter()
    }

    /// The one that is meant where none is named: the last that stands still, else the last.
    pub fn current(&self) -> Option<usize> {
        let suspended = self.jobs.iter().rev().find(|job| job.is_suspended);
        suspended.or(self.jobs.last()).map(|job| job.number)
    }

    /// The number of the job that `%1`, `%+`, `%name` or a process's number means.
    pub fn find(&self, text: &str) -> Option<usize> {
        let Some(name) = text.strip_prefix('%') else {
            let id = text.parse().ok()?;
            return self
                .jobs
                .iter()
                .find(|job| job.has_process(id))
                .map(|job| job.number);
        };
        match name {
            "" | "+" | "%" => self.current(),
            "-" => self
                .jobs
                .iter()
                .rev()
                .map(|job| job.number)
                .find(|number| Some(*number) != self.current()),
            name => {
                let number = name.parse().ok();
                let is_meant =
                    |job: &&Job| Some(job.number) == number || job.command.starts_with(name);
                self.jobs.iter().rev().find(is_meant).map(|job| job.number)
            }
        }
    }

    /// The job of this number.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.number == number)
    }

    /// Forgets the job of this number and hands it out.
    pub fn take(&mut self, number: usize) -> Option<Job> {
        let index = self.jobs.iter().position(|job| job.number == number)?;
        Some(self.jobs.remove(index))
    }

    /// Forgets those that have ended and hands them out.
    pub fn take_done(&mut self) -> Vec<Job> {
        self.update();
        self.jobs.extract_if(.., |job| job.is_done()).collect()
    }
}

impl Shell {
    /// Has a job go on that has got the terminal.
    pub fn go_on_in_foreground(&self, job: &mut Job) -> Result<(), Unwind> {
        // First: what Ctrl-Z asks of it from now on holds.
        job.suspend(false);
        let joined = job.running().into_iter().try_for_each(system::join_job);
        joined.map_err(Unwind::Failed)?;
        self.files.error(&format!("{}\n", job.command));
        Ok(())
    }

    /// Waits for a job of the background. Ctrl-C ends the waiting.
    pub fn wait_for(&mut self, job: &mut Job) -> Result<Status, Unwind> {
        job.await_end();
        self.tell_messages(job);
        Ok(job.status())
    }

    /// Says what those that did not end of their own will have to say.
    pub fn tell_messages(&self, job: &Job) {
        job.messages()
            .iter()
            .for_each(|message| self.files.error(&format!("{message}\n")));
    }
}
