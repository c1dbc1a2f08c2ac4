//! The cases of `wasi:cli/command`. See the library.

fn main() {
    functions::main(&functions::command::<functions::Cases>());
}
