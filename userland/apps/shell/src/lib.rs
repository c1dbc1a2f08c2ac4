//! The system's shell.
//!
//! Law: the language is bash's, as far as it goes without signals, fork and user names; `docs/shell.md` says how far. Text
//! that a person or a script gives is a program, an error with a sentence, or a refusal: never a panic.

pub mod builtins;
pub mod expand;
pub mod files;
pub mod interactive;
pub mod jobs;
pub mod launch;
pub mod options;
pub mod pattern;
pub mod run;
pub mod shell;
pub mod syntax;
pub mod system;
pub mod variables;
