//! The files pass on the host.

#[test]
fn every_file_passes_on_the_host() {
    let engine = test_spec::engine(None).expect("the host can run the engine");
    let failures: Vec<String> = test_spec::FILES
        .iter()
        .filter_map(|file| {
            Some(format!(
                "{}: {}",
                file.name,
                test_spec::run(&engine, file).err()?
            ))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What the suite of the kernel counts on.
#[test]
fn no_file_and_no_assertion_is_missing() {
    let assertions: usize = test_spec::FILES.iter().map(|file| file.assertions).sum();
    assert_eq!((test_spec::FILES.len(), assertions), (73, 18_413));
}
