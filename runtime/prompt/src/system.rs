//! What the prompt asks of the system around it.

use std::sync::Arc;
use std::time::Duration;

use runtime_host::{ByteSource, Notifier};

/// The system behind a prompt.
pub trait System {
    /// The names of the programs that can be started, in the order to list them.
    fn programs(&self) -> Vec<String>;
    /// Starts a program on the prompt's terminal, with `stdin` as its standard input; its output goes to
    /// the terminal through the [`TerminalOutput`](crate::TerminalOutput) that the prompt was given.
    fn start(
        &self,
        program: &str,
        arguments: &[String],
        stdin: Arc<dyn ByteSource>,
        limits: &Limits,
    ) -> Result<Box<dyn Job>, StartError>;
    /// The same with one exported function of the program, called with the arguments; its results are the output.
    fn call(
        &self,
        program: &str,
        function: &str,
        arguments: &[String],
        stdin: Arc<dyn ByteSource>,
    ) -> Result<Box<dyn Job>, StartError>;
    /// Tells the process of this number, and all that it started, to end. An error is a sentence.
    fn kill(&self, id: u64) -> Result<(), String>;
    /// The processes that exist, oldest first, and the kernel's own threads.
    fn processes(&self) -> Vec<ProcessRow>;
    /// Who uses how much of the machine's memory. The rows add up to all of it.
    fn memory(&self) -> Vec<MemoryUse>;
    /// Time since the machine started.
    fn uptime(&self) -> Duration;
    /// What is left of the kernel's log, oldest line first, as far as the words choose it. An error is a sentence.
    fn log(&self, words: &[String]) -> Result<String, String>;
    /// Starts to show the kernel's log on the prompt's terminal, as far as the words choose it, and goes on until
    /// it is killed. An error is a sentence.
    fn follow_log(&self, words: &[String]) -> Result<Box<dyn Job>, String>;
    /// Changes what is logged as the words say, if there are any, and tells what is logged then. An error is a
    /// sentence.
    fn log_levels(&self, words: &[String]) -> Result<String, String>;
    /// Chooses the keyboard's layout as the word says, if there is one, and tells which there are. An error is a
    /// sentence.
    fn keyboard(&self, words: &[String]) -> Result<String, String>;
    /// Shows the services, or does with one of them what the words say. An error is a sentence.
    fn services(&self, words: &[String]) -> Result<String, String>;
    /// What a service or a process can reach, and through whom. An error is a sentence.
    fn capabilities(&self, words: &[String]) -> Result<String, String>;
    /// What has happened since this was last asked that a person should know: whole sentences.
    fn news(&self) -> Vec<String>;
    /// Switches tracing on or off, or saves what was traced, as the words say. An error is a sentence.
    fn trace(&self, words: &[String]) -> Result<String, String>;
}

/// What a program and all that it starts may use; what is not said is not limited further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// CPU time in any second, in hundredths of one CPU.
    pub cpu_percent: Option<u32>,
    /// CPU time in all.
    pub cpu_time: Option<Duration>,
    /// Handles at a time.
    pub handles: Option<u32>,
    /// Bytes of output.
    pub output_bytes: Option<u64>,
    /// Processes at a time.
    pub processes: Option<u32>,
}

/// A program that was started and holds the terminal.
pub trait Job {
    /// Whether it has ended, and then what there is to say about it, if anything: whole sentences, which name
    /// the program.
    fn ending(&self) -> Option<Option<String>>;
    /// Has `notifier` notified when it has ended.
    fn subscribe(&self, notifier: &Notifier);
    /// Tells it to end. It does so soon, and [`ending`](Self::ending) says when.
    fn kill(&self);
}

/// Why a program was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The system has no program of this name.
    NoSuchProgram,
    /// It has, but cannot start it; a sentence.
    Refused(String),
}

/// One process, or one thread of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRow {
    /// Its number.
    pub id: u64,
    /// The process that started it, where that is one.
    pub parent: Option<u64>,
    /// What it is busy with, in a word.
    pub state: String,
    /// Memory reserved for it; `None` where nobody counts it.
    pub memory_bytes: Option<u64>,
    /// Physical memory that it holds, in bytes; `None` where nobody counts it.
    pub resident_bytes: Option<u64>,
    /// CPU time that it has used; `None` where nobody counts it.
    pub cpu_time: Option<Duration>,
    /// Its threads; `None` where it is one itself.
    pub threads: Option<u32>,
    /// Handles that it holds; `None` where it has none to hold.
    pub handles: Option<u32>,
    /// Time since its start; `None` where nobody knows.
    pub age: Option<Duration>,
    /// How soon and how much it gets of the CPU; `None` where its threads say so.
    pub class: Option<String>,
    /// Its program's or thread's name.
    pub name: String,
}

/// One use of the machine's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// Who or what for.
    pub owner: String,
    /// How much.
    pub len_bytes: u64,
}
