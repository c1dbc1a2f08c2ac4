//! The cases of `wasi:http`, apart from the others because not every host has it. See the library.

fn main() {
    functions::main(&functions::http::<functions::Cases>());
}
