//! The files pass on the host.

use runtime_engine::{Engine, EngineOptions};

#[test]
fn every_file_passes_on_the_host() {
    let engine = Engine::new(EngineOptions::default()).expect("the host can run the engine");
    let failures: Vec<String> = test_spec::FILES
        .iter()
        .filter_map(|file| {
            test_spec::run(&engine, file)
                .err()
                .map(|why| format!("{}: {why}", file.name))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
