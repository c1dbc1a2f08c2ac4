//! Which of a process's standard streams lead to a person.

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
}
