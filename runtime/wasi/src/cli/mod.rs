//! `wasi:cli`: what every command starts with.

mod environment;
mod exit;
mod stderr;
mod stdin;
mod stdout;
mod terminal_input;
mod terminal_output;
mod terminal_stderr;
mod terminal_stdin;
mod terminal_stdout;

pub use terminal_input::TerminalInput;
pub use terminal_output::TerminalOutput;
