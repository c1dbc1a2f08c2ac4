//! The files pass on the host, and none is missing.

/// What the kernel's suite counts on, too.
const FILES_AND_ASSERTIONS: (usize, usize) = (73, 18_413);

#[test]
fn every_file_passes_on_the_host() {
    let engine = test_spec::engine(None).expect("the host can run the engine");
    let mut held = (0, 0);
    for file in test_spec::files() {
        match test_spec::run(&engine, &file) {
            Ok(assertions) => held = (held.0 + 1, held.1 + assertions),
            Err(why) => eprintln!("{}: {why}", file.name),
        }
    }
    assert_eq!(held, FILES_AND_ASSERTIONS);
}
