//! The files pass on the host, none is missing, and what is left out fails.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use test_spec::overturned::OVERTURNED;
use test_spec::{Catalogue, Engines, Kind, Place, SpecFile, catalogue};

static ENGINES: LazyLock<Engines> =
    LazyLock::new(|| Engines::new(None).expect("the host can run the engine"));

/// What the kernel's suite counts on, too.
const FILES_AND_ASSERTIONS: (usize, usize) = (319, 68_835);

fn all() -> Catalogue {
    Catalogue::read().expect("the tables are about what is there")
}

/// Runs the files on all processors; returns how many passed, and their assertions.
fn passed(files: &[SpecFile]) -> (usize, usize) {
    let [next, passed, held] = [const { AtomicUsize::new(0) }; 3];
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            match test_spec::run(&ENGINES, file) {
                Ok(assertions) => {
                    passed.fetch_add(1, Ordering::Relaxed);
                    held.fetch_add(assertions, Ordering::Relaxed);
                }
                Err(why) => eprintln!("{}: {why}", file.name),
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    (passed.into_inner(), held.into_inner())
}

#[test]
fn every_file_passes_on_the_host() {
    assert_eq!(passed(&all().files), FILES_AND_ASSERTIONS);
}

#[test]
fn files_that_run_in_the_pool_pass_without_it() {
    let mut files = all().files;
    files.retain(|file| file.kind == Kind::Core(Place::Pool));
    for file in &mut files {
        file.kind = Kind::Core(Place::OnDemand);
    }
    assert_eq!(passed(&files).0, files.len());
}

#[test]
fn every_file_runs_is_repeated_or_is_left_out() {
    let all = all();
    let components = all.files.iter().filter(|file| file.kind == Kind::Component);
    let core_files = all.files.len() - components.count();
    assert_eq!(
        core_files + all.repeated.len() + all.left_out.len(),
        catalogue::core_files().count()
    );
    assert_eq!((all.repeated.len(), all.left_out.len()), (21, 18));
}

#[test]
fn what_is_left_out_fails() {
    for (file, _) in all().left_out {
        assert!(test_spec::run(&ENGINES, &file).is_err(), "{}", file.name);
    }
}

#[test]
fn what_is_overturned_fails() {
    let texts: HashMap<String, &str> = catalogue::core_files().collect();
    for entry in OVERTURNED {
        for &line in entry.lines {
            let others: Vec<usize> = overturned_beside(entry.file, line);
            let file = SpecFile {
                name: entry.file.to_owned(),
                text: test_spec::without(texts[entry.file], &others).unwrap(),
                kind: Kind::Core(catalogue::place_of(entry.file)),
            };
            let why = test_spec::run(&ENGINES, &file).unwrap_err();
            assert!(why.contains(entry.file), "{why}");
        }
    }
}

fn overturned_beside(file: &str, kept: usize) -> Vec<usize> {
    let mut lines = test_spec::overturned::lines(file);
    lines.retain(|&line| line != kept);
    lines
}
