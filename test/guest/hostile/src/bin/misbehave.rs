//! What a program may do to the system around it. The first argument names the deed; those that end say on
//! stdout how far they came.
//!
//! Every deed tidies up what would outlive it (files), so that what is missing afterwards was lost by
//! the system.

#[cfg(target_os = "wasi")]
mod deeds {
    use std::fs::{self, File};
    use std::io::{Read, Write};
    use std::path::Path;
    use std::time::Duration;

    use wasip2::clocks::monotonic_clock;
    use wasip2::filesystem::preopens;
    use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
    use wasip2::io::poll;
    use wasip2::random::random;

    /// Enough to meet every limit, few enough for a slow machine.
    const MANY: usize = 5_000;
    /// Folders below one another.
    const DEPTH: usize = 1_000;
    const PIECE_BYTES: usize = 1 << 20;

    pub fn run(deed: &str) {
        match deed {
            "bury" => bury(),
            "close-parents" => close_parents(),
            "count-input" => count_input(),
            "escape" => escape(),
            "fill" => fill(),
            "hoard-handles" => hoard_handles(),
            "hoard-memory" => hoard_memory(),
            "hoard-pollables" => hoard_pollables(),
            "huge-lists" => huge_lists(),
            "panic" => panic!("this program gives up"),
            "long-paths" => long_paths(),
            "poll-for-ever" => poll_for_ever(),
            "poll-ten-thousand" => poll_ten_thousand(),
            "read-for-ever" => read_for_ever(),
            "recurse" => println!("{}", recurse(1)),
            "sleep-for-ever" => std::thread::sleep(Duration::from_secs(u64::MAX >> 32)),
            "spin" => spin(),
            "spin-in-host-calls" => spin_in_host_calls(),
            other => panic!("there is no deed {other}"),
        }
    }

    fn root() -> Descriptor {
        let (root, _) = preopens::get_directories().pop().expect("a root");
        root
    }

    /// Folders in folders, as deep as they go, and up again.
    fn bury() {
        let mut folders = vec![
            root()
                .open_at(
                    PathFlags::empty(),
                    "tmp",
                    OpenFlags::DIRECTORY,
                    DescriptorFlags::MUTATE_DIRECTORY,
                )
                .expect("/tmp"),
        ];
        for _ in 0..DEPTH {
            let last = folders.last().expect("a folder");
            let next = last.create_directory_at("d").and_then(|()| {
                last.open_at(
                    PathFlags::empty(),
                    "d",
                    OpenFlags::DIRECTORY,
                    DescriptorFlags::MUTATE_DIRECTORY,
                )
            });
            match next {
                Ok(folder) => folders.push(folder),
                Err(_) => break,
            }
        }
        println!("{} folders deep", folders.len() - 1);
        while folders.pop().is_some() {
            if let Some(parent) = folders.last() {
                let _ = parent.remove_directory_at("d");
            }
        }
    }

    /// Closes what streams and pollables were made of, and goes on using them.
    fn close_parents() {
        let file = open("etc/hostname");
        let stream = file.read_via_stream(0).expect("a stream");
        let ready = stream.subscribe();
        drop(file);
        let first = stream.read(2).expect("two bytes");
        drop(stream);
        ready.block();
        println!("{} bytes of a closed file", first.len());
    }

    fn open(path: &str) -> Descriptor {
        let flags = (OpenFlags::empty(), DescriptorFlags::READ);
        let opened = root().open_at(PathFlags::empty(), path, flags.0, flags.1);
        opened.expect("a file")
    }

    fn count_input() {
        let mut input = Vec::new();
        let read = std::io::stdin().read_to_end(&mut input);
        println!("{} bytes of input, then {read:?}", input.len());
    }

    /// Every way out of the tree that anybody thought of.
    fn escape() {
        let _ = fs::create_dir("/tmp/inner");
        let inner = root()
            .open_at(
                PathFlags::empty(),
                "tmp/inner",
                OpenFlags::DIRECTORY,
                DescriptorFlags::MUTATE_DIRECTORY,
            )
            .expect("/tmp/inner");
        for (link, target) in [
            ("up", "../../../.."),
            ("absolute", "/etc/hostname"),
            ("loop", "loop"),
            ("ping", "pong"),
            ("pong", "ping"),
        ] {
            let _ = inner.symlink_at(target, link);
        }
        let long = "x/".repeat(3_000);
        for path in [
            "..",
            "../..",
            "/",
            "/etc/hostname",
            "up/etc",
            "absolute",
            "loop",
            "ping",
            "./../inner",
            "a/../../..",
            "",
            "\0",
            &long,
        ] {
            let opened = inner.open_at(
                PathFlags::SYMLINK_FOLLOW,
                path,
                OpenFlags::empty(),
                DescriptorFlags::READ,
            );
            if opened.is_ok() {
                println!("escaped by {path:?}");
            }
        }
        drop(inner);
        for link in ["up", "absolute", "loop", "ping", "pong"] {
            let _ = fs::remove_file(Path::new("/tmp/inner").join(link));
        }
        let gone = fs::remove_dir("/tmp/inner");
        println!("did not escape: {}", gone.is_ok());
    }

    /// Writes a file until there is no room.
    fn fill() {
        let piece = vec![7; PIECE_BYTES];
        let mut file = File::create("/tmp/full").expect("/tmp/full");
        let failure = loop {
            if let Err(failure) = file.write_all(&piece) {
                break failure;
            }
        };
        let len_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        drop(file);
        let removed = fs::remove_file("/tmp/full");
        println!(
            "full after {} MiB or more: {failure}; removed: {}",
            len_bytes / PIECE_BYTES as u64 / 100 * 100,
            removed.is_ok()
        );
    }

    fn hoard_handles() {
        let root = root();
        let mut handles = Vec::new();
        for _ in 0..MANY {
            match root.open_at(
                PathFlags::empty(),
                "etc/hostname",
                OpenFlags::empty(),
                DescriptorFlags::READ,
            ) {
                Ok(handle) => handles.push(handle),
                Err(_) => break,
            }
        }
        println!("{} handles", handles.len());
    }

    /// Takes and touches memory until there is none, and stays polite then.
    fn hoard_memory() {
        // What standard output takes from the process's memory is taken before there is none.
        println!("taking all");
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut piece = Vec::new();
            if piece.try_reserve_exact(PIECE_BYTES).is_err() {
                break;
            }
            piece.resize(PIECE_BYTES, 1);
            pieces.push(piece);
        }
        println!("refused after more than {} MiB", pieces.len() / 10 * 10);
    }

    fn hoard_pollables() {
        let mut pollables: Vec<_> = (0..MANY)
            .map(|_| monotonic_clock::subscribe_duration(u64::MAX))
            .collect();
        pollables.push(monotonic_clock::subscribe_duration(0));
        let all: Vec<_> = pollables.iter().collect();
        println!("ready: {:?}", poll::poll(&all));
    }

    /// Lists longer than anybody should answer.
    fn huge_lists() {
        for exponent in 20..40 {
            drop(random::get_random_bytes(1 << exponent));
        }
    }

    /// Names and targets of links, from a few KiB to more than the host takes in one call.
    fn long_paths() {
        for exponent in 12..30 {
            let path = "x".repeat(1 << exponent);
            let opened = root().open_at(
                PathFlags::empty(),
                &path,
                OpenFlags::empty(),
                DescriptorFlags::READ,
            );
            let linked = root().symlink_at(&path, &path);
            println!("{}: {}", path.len(), opened.is_ok() || linked.is_ok());
        }
    }

    /// More pollables in one list than a process may hold: each of a few again and again, and the last one is ready.
    fn poll_ten_thousand() {
        let never: Vec<_> = (0..100)
            .map(|_| monotonic_clock::subscribe_duration(u64::MAX))
            .collect();
        let now = monotonic_clock::subscribe_duration(0);
        let mut all: Vec<_> = never.iter().cycle().take(MANY * 2 - 1).collect();
        all.push(&now);
        println!("ready: {:?}", poll::poll(&all));
    }

    fn poll_for_ever() {
        let pollables: Vec<_> = (0..100)
            .map(|_| monotonic_clock::subscribe_duration(u64::MAX))
            .collect();
        let all: Vec<_> = pollables.iter().collect();
        println!("ready: {:?}", poll::poll(&all));
    }

    fn read_for_ever() {
        let mut buffer = [0; 100];
        while std::io::stdin().read(&mut buffer).is_ok() {}
    }

    #[inline(never)]
    #[expect(unconditional_recursion, reason = "that is the deed")]
    fn recurse(depth: u64) -> u64 {
        depth + recurse(std::hint::black_box(depth + 1))
    }

    fn spin() {
        let mut count = 0_u64;
        loop {
            count = std::hint::black_box(count.wrapping_add(1));
        }
    }

    fn spin_in_host_calls() {
        loop {
            std::hint::black_box(monotonic_clock::now());
        }
    }
}

fn main() {
    #[cfg(target_os = "wasi")]
    deeds::run(&std::env::args().nth(1).expect("a deed"));
}
