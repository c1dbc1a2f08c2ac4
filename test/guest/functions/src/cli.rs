//! `wasi:cli`. Its arguments, environment and streams are those that the host gave.

use wasip2::cli::{
    environment, exit, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout,
};

use crate::{
    Cases, CliEnvironment, CliExit, CliStderr, CliStdin, CliStdout, CliTerminalStderr,
    CliTerminalStdin, CliTerminalStdout, say,
};

impl CliEnvironment for Cases {
    fn get_environment() {
        let mut variables = environment::get_environment();
        say!(
            "the same at each call",
            variables == environment::get_environment()
        );
        variables.sort();
        say!("variables", variables);
    }

    fn get_arguments() {
        let arguments = environment::get_arguments();
        say!(
            "the same at each call",
            arguments == environment::get_arguments()
        );
        say!(
            "as std sees them",
            arguments
                .iter()
                .skip(1)
                .eq(&std::env::args().skip(1).collect::<Vec<_>>())
        );
    }

    fn initial_cwd() {
        let cwd = environment::initial_cwd();
        say!("the same at each call", cwd == environment::initial_cwd());
        say!(
            "absolute if given",
            cwd.is_none_or(|path| path.starts_with('/'))
        );
    }
}

impl CliExit for Cases {
    fn exit() {
        exit::exit(Err(()));
    }

    fn exit_with_code() {
        exit::exit_with_code(7);
    }
}

impl CliStdin for Cases {
    /// Two handles are two views of one stream.
    fn get_stdin() {
        let (first, second) = (stdin::get_stdin(), stdin::get_stdin());
        say!("none asked for", first.read(0).map_err(|_| "error"));
        drop(first);
        say!("still there", second.read(0).map_err(|_| "error"));
    }
}

impl CliStdout for Cases {
    fn get_stdout() {
        let (first, second) = (stdout::get_stdout(), stdout::get_stdout());
        for (text, stream) in [("  first\n", first), ("  second\n", second)] {
            say!(
                "written",
                stream
                    .blocking_write_and_flush(text.as_bytes())
                    .map_err(|_| "error")
            );
        }
    }
}

impl CliStderr for Cases {
    fn get_stderr() {
        let stream = stderr::get_stderr();
        say!(
            "written",
            stream
                .blocking_write_and_flush(b"to stderr\n")
                .map_err(|_| "error")
        );
    }
}

impl CliTerminalStdin for Cases {
    fn get_terminal_stdin() {
        say!("a terminal", terminal_stdin::get_terminal_stdin().is_some());
    }
}

impl CliTerminalStdout for Cases {
    fn get_terminal_stdout() {
        say!(
            "a terminal",
            terminal_stdout::get_terminal_stdout().is_some()
        );
    }
}

impl CliTerminalStderr for Cases {
    fn get_terminal_stderr() {
        say!(
            "a terminal",
            terminal_stderr::get_terminal_stderr().is_some()
        );
    }
}
