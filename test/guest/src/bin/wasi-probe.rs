//! What only the interfaces themselves can say. The first argument names the case; a case that finds
//! something wrong panics, which the host sees as a trap.

use wasip2::cli::{environment, exit, stdin, stdout};
use wasip2::clocks::monotonic_clock;
use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
    filesystem_error_code,
};
use wasip2::io::poll;
use wasip2::io::streams::StreamError;
use wasip2::random::{insecure, insecure_seed, random};
use wasip2::sockets::network::{ErrorCode as SocketError, IpAddressFamily};
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

fn main() {
    let arguments = environment::get_arguments();
    match arguments[1].as_str() {
        "absurd-lengths" => absurd_lengths(),
        "access-times" => access_times(),
        "descriptors" => descriptors(),
        "directory-entries" => directory_entries(),
        "exit-with-code" => exit::exit_with_code(arguments[2].parse().expect("a number")),
        "hoard" => hoard(),
        "open-flags" => open_flags(),
        "poll" => poll_many(),
        "poll-crowd" => poll_crowd(),
        "poll-nothing" => drop(poll::poll(&[])),
        "random" => random_bytes(),
        "random-too-much" => drop(random::get_random_bytes(u64::MAX)),
        "sockets" => sockets(),
        "splice" => splice(),
        "streams" => streams(),
        "terminals" => terminals(),
        "wait" => monotonic_clock::subscribe_duration(u64::MAX).block(),
        "write-beyond-permit" => drop(stdout::get_stdout().write(b"no permit was asked for")),
        other => panic!("there is no case {other}"),
    }
}

fn root() -> Descriptor {
    let mut directories = preopens::get_directories();
    assert_eq!(directories.len(), 1);
    let (root, path) = directories.remove(0);
    assert_eq!(path, "/");
    root
}

fn create(root: &Descriptor, path: &str) -> Descriptor {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    root.open_at(PathFlags::empty(), path, OpenFlags::CREATE, flags)
        .expect("created")
}

fn open(
    root: &Descriptor,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<(), ErrorCode> {
    root.open_at(PathFlags::empty(), path, open, flags)
        .map(drop)
}

fn absurd_lengths() {
    let file = create(&root(), "f");
    assert_eq!(file.write(b"four", 0), Ok(4));
    assert_eq!(file.read(u64::MAX, 0), Ok((b"four".to_vec(), false)));
    assert_eq!(file.read(u64::MAX, 4), Ok((Vec::new(), true)));
    assert_eq!(file.read(0, 0), Ok((Vec::new(), false)));
    let last = i64::MAX as u64;
    assert_eq!(file.read(u64::MAX, last), Ok((Vec::new(), true)));
    assert_eq!(file.read(1, last + 1), Err(ErrorCode::Invalid));
    assert_eq!(file.write(b"x", last), Err(ErrorCode::FileTooLarge));
    assert_eq!(file.write(b"x", last + 1), Err(ErrorCode::Invalid));
    assert_eq!(file.set_size(last + 1), Err(ErrorCode::Invalid));
    file.set_size(1 << 40).expect("a hole costs nothing");
    let (bytes, ended) = file.read(u64::MAX, 0).expect("read");
    assert!(bytes.len() <= 1 << 20 && !ended);
    let stream = file.read_via_stream(0).expect("a stream");
    assert!(stream.read(u64::MAX).expect("read").len() <= 1 << 20);
    assert!(stream.skip(u64::MAX).expect("skipped") > 0);
    let name = "x".repeat(1 << 20);
    let opened = open(&root(), &name, OpenFlags::CREATE, DescriptorFlags::WRITE);
    assert_eq!(opened, Err(ErrorCode::NameTooLong));
    let made = root().symlink_at(&name, "link");
    assert_eq!(made, Err(ErrorCode::NameTooLong));
}

fn descriptors() {
    let root = root();
    let one = create(&root, "one");
    let two = create(&root, "two");
    let again = create(&root, "one");
    assert!(one.is_same_object(&again) && !one.is_same_object(&two));
    let hash = |file: &Descriptor| {
        let hash = file.metadata_hash().expect("a hash");
        (hash.lower, hash.upper)
    };
    assert_eq!(hash(&one), hash(&again));
    assert_ne!(hash(&one), hash(&two));
    let before = hash(&one);
    one.write(b"longer", 0).expect("written");
    assert_ne!(hash(&one), before);

    let time = wasip2::clocks::wall_clock::Datetime {
        seconds: 1_000_000,
        nanoseconds: 5,
    };
    one.set_times(NewTimestamp::NoChange, NewTimestamp::Timestamp(time))
        .expect("set");
    let stat = root.stat_at(PathFlags::empty(), "one").expect("described");
    let modified = stat.data_modification_timestamp.expect("a time");
    assert_eq!((modified.seconds, modified.nanoseconds), (1_000_000, 5));
    let late = wasip2::clocks::wall_clock::Datetime {
        seconds: i64::MAX as u64,
        nanoseconds: 1_000_000_000,
    };
    let set = one.set_times(NewTimestamp::NoChange, NewTimestamp::Timestamp(late));
    assert_eq!(set, Err(ErrorCode::Overflow));
    one.advise(0, u64::MAX, Advice::Sequential).expect("taken");
    one.sync().expect("in memory it always is");
    one.sync_data().expect("in memory it always is");

    let no_link = root.link_at(PathFlags::empty(), ".", &root, "l");
    assert_eq!(no_link, Err(ErrorCode::NotPermitted));
    assert_eq!(root.symlink_at("/etc", "l"), Err(ErrorCode::NotPermitted));
    assert_eq!(root.rename_at(".", &root, "l"), Err(ErrorCode::Busy));
    assert_eq!(
        root.remove_directory_at("one"),
        Err(ErrorCode::NotDirectory)
    );
    assert_eq!(one.create_directory_at("d"), Err(ErrorCode::NotDirectory));
    assert_eq!(root.read(1, 0), Err(ErrorCode::BadDescriptor));
}

/// An access time moves with the first reading after a change, and not with the next.
fn access_times() {
    let root = root();
    let file = create(&root, "f");
    let accessed = || {
        let stat = file.stat().expect("described");
        let accessed = stat.data_access_timestamp.expect("a time");
        let modified = stat.data_modification_timestamp.expect("a time");
        let pair = |time: wasip2::clocks::wall_clock::Datetime| (time.seconds, time.nanoseconds);
        (pair(accessed), pair(accessed) > pair(modified))
    };
    for _ in 0..2 {
        file.write(b"new", 0).expect("written");
        assert!(!accessed().1);
        file.read(3, 0).expect("read");
        let (first, after) = accessed();
        assert!(after);
        file.read_via_stream(0)
            .expect("a stream")
            .blocking_read(3)
            .expect("read");
        assert_eq!(accessed().0, first);
    }
}

fn open_flags() {
    let root = root();
    let (none, read, write) = (
        OpenFlags::empty(),
        DescriptorFlags::READ,
        DescriptorFlags::WRITE,
    );
    drop(create(&root, "f"));
    root.create_directory_at("d").expect("made");
    root.symlink_at("f", "l").expect("made");
    let exclusive = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    assert_eq!(open(&root, "f", exclusive, write), Err(ErrorCode::Exist));
    assert_eq!(open(&root, "l", exclusive, write), Err(ErrorCode::Exist));
    assert_eq!(open(&root, "l", none, read), Err(ErrorCode::Loop));
    assert_eq!(
        open(&root, "f", OpenFlags::DIRECTORY, read),
        Err(ErrorCode::NotDirectory)
    );
    assert_eq!(open(&root, "f/", none, read), Err(ErrorCode::NotDirectory));
    assert_eq!(open(&root, "d", none, write), Err(ErrorCode::IsDirectory));
    assert_eq!(open(&root, "x", none, read), Err(ErrorCode::NoEntry));
    assert_eq!(open(&root, "", none, read), Err(ErrorCode::NoEntry));
    assert_eq!(open(&root, "/f", none, read), Err(ErrorCode::NotPermitted));
    assert_eq!(
        open(&root, "d/../../f", none, read),
        Err(ErrorCode::NotPermitted)
    );

    let reader = root
        .open_at(PathFlags::SYMLINK_FOLLOW, "l", none, read)
        .expect("opened");
    assert_eq!(reader.get_flags(), Ok(read));
    assert_eq!(reader.write(b"x", 0), Err(ErrorCode::BadDescriptor));
    assert_eq!(reader.set_size(0), Err(ErrorCode::Invalid));
    let synchronized = write | DescriptorFlags::FILE_INTEGRITY_SYNC;
    let writer = root.open_at(PathFlags::empty(), "f", none, synchronized);
    assert_eq!(writer.and_then(|file| file.get_flags()), Ok(synchronized));
    for (name, flags) in [
        ("f/", PathFlags::empty()),
        ("l/", PathFlags::SYMLINK_FOLLOW),
    ] {
        let described = root.stat_at(flags, name).map(drop);
        assert_eq!(described, Err(ErrorCode::NotDirectory));
    }
    let followed = root.link_at(PathFlags::SYMLINK_FOLLOW, "l", &root, "linked");
    assert_eq!(followed, Ok(()));
    assert_eq!(reader.stat().map(|stat| stat.link_count), Ok(2));
    assert_eq!(root.unlink_file_at("linked"), Ok(()));
    let writer = root
        .open_at(PathFlags::empty(), "f", none, write)
        .expect("opened");
    assert_eq!(writer.read(1, 0), Err(ErrorCode::BadDescriptor));
    writer.write(b"gone", 0).expect("written");
    open(&root, "f", OpenFlags::TRUNCATE, write).expect("cut off");
    assert_eq!(writer.stat().expect("described").size, 0);
}

fn directory_entries() {
    let root = root();
    for number in 0..50 {
        drop(create(&root, &format!("{number:02}")));
    }
    let stream = root.read_directory().expect("a stream");
    let mut seen = Vec::new();
    while let Some(entry) = stream.read_directory_entry().expect("an entry") {
        root.unlink_file_at(&entry.name)
            .expect("removed while listed");
        seen.push(entry.name);
    }
    assert_eq!(seen.len(), 50);
    let stream = root.read_directory().expect("a stream");
    assert!(stream.read_directory_entry().expect("the end").is_none());
}

/// Asks for handles until they are refused.
fn hoard() {
    let root = root();
    let mut held = Vec::new();
    let refused = loop {
        let flags = DescriptorFlags::READ;
        match root.open_at(PathFlags::empty(), ".", OpenFlags::empty(), flags) {
            Ok(descriptor) => held.push(descriptor),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, ErrorCode::InsufficientMemory);
    held.truncate(held.len() / 2);
    drop(create(&root, "room again"));
}

fn poll_many() {
    let now = monotonic_clock::now();
    let later = monotonic_clock::subscribe_instant(now + 30_000_000);
    let never = monotonic_clock::subscribe_instant(u64::MAX);
    let input = stdin::get_stdin();
    let readable = input.subscribe();
    assert!(!readable.ready() && !later.ready());
    assert_eq!(poll::poll(&[&never, &later, &readable]), [1]);
    assert!(monotonic_clock::now() >= now + 30_000_000);
    // The host writes when it sees this byte.
    stdout::get_stdout()
        .blocking_write_and_flush(b"!")
        .expect("written");
    assert_eq!(poll::poll(&[&never, &readable]), [1]);
    assert_eq!(input.read(10).expect("read"), b"?");
    let writable = stdout::get_stdout().subscribe();
    assert_eq!(poll::poll(&[&later, &never, &writable]), [0, 2]);
}

/// Ten thousand pollables of three kinds, of which the last is ready, each twice in the list.
fn poll_crowd() {
    let input = stdin::get_stdin();
    let mut crowd: Vec<_> = (0..5_000)
        .flat_map(|_| {
            let never = monotonic_clock::subscribe_instant(u64::MAX);
            [never, input.subscribe()]
        })
        .collect();
    crowd.push(monotonic_clock::subscribe_duration(1_000_000));
    let twice: Vec<_> = crowd.iter().chain(&crowd).collect();
    assert_eq!(poll::poll(&twice), [10_000, 20_001]);
}

fn random_bytes() {
    assert_eq!(random::get_random_bytes(100_000).len(), 100_000);
    assert!(random::get_random_bytes(0).is_empty());
    assert_ne!(random::get_random_bytes(16), random::get_random_bytes(16));
    assert_ne!(random::get_random_u64(), random::get_random_u64());
    assert_ne!(
        insecure::get_insecure_random_u64(),
        insecure::get_insecure_random_u64()
    );
    assert_eq!(insecure::get_insecure_random_bytes(5).len(), 5);
    assert_ne!(insecure_seed::insecure_seed(), (0, 0));
}

fn sockets() {
    for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
        let denied = tcp_create_socket::create_tcp_socket(family).map(drop);
        assert_eq!(denied, Err(SocketError::AccessDenied));
        let denied = udp_create_socket::create_udp_socket(family).map(drop);
        assert_eq!(denied, Err(SocketError::AccessDenied));
    }
    let network = instance_network::instance_network();
    let denied = ip_name_lookup::resolve_addresses(&network, "localhost").map(drop);
    assert_eq!(denied, Err(SocketError::AccessDenied));
}

fn streams() {
    let root = root();
    let file = create(&root, "f");
    let out = file.write_via_stream(3).expect("a stream");
    assert!(out.check_write().expect("room") > 0);
    out.write(b"abc").expect("written");
    out.check_write().expect("room");
    out.write_zeroes(2).expect("written");
    out.blocking_write_and_flush(b"d").expect("written");
    out.blocking_write_zeroes_and_flush(1).expect("written");
    let end = file.append_via_stream().expect("a stream");
    end.blocking_write_and_flush(b"e").expect("appended");
    assert_eq!(
        file.read(100, 0),
        Ok((b"\0\0\0abc\0\0d\0e".to_vec(), false))
    );

    let input = file.read_via_stream(3).expect("a stream");
    assert!(input.read(0).expect("open").is_empty());
    assert_eq!(input.blocking_read(2).expect("read"), b"ab");
    assert_eq!(input.blocking_skip(100).expect("skipped"), 6);
    assert!(matches!(input.read(1), Err(StreamError::Closed)));
    assert!(matches!(input.read(0), Err(StreamError::Closed)));
    assert!(input.subscribe().ready());

    let beyond = file.write_via_stream(i64::MAX as u64).expect("a stream");
    match beyond.blocking_write_and_flush(b"too far") {
        Err(StreamError::LastOperationFailed(error)) => {
            assert_eq!(filesystem_error_code(&error), Some(ErrorCode::FileTooLarge));
            assert!(!error.to_debug_string().is_empty());
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(beyond.check_write(), Err(StreamError::Closed)));
    let none_read = file.read_via_stream(0).expect("a stream").blocking_read(0);
    assert!(none_read.is_ok_and(|bytes| bytes.is_empty()));
    assert!(matches!(
        stdin::get_stdin().blocking_read(1),
        Err(StreamError::Closed)
    ));
}

fn splice() {
    let (input, output) = (stdin::get_stdin(), stdout::get_stdout());
    loop {
        match output.blocking_splice(&input, u64::MAX) {
            Ok(_) => {}
            Err(StreamError::Closed) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn terminals() {
    use wasip2::cli::{terminal_stderr, terminal_stdin, terminal_stdout};
    assert!(terminal_stdin::get_terminal_stdin().is_none());
    assert!(terminal_stdout::get_terminal_stdout().is_some());
    assert!(terminal_stderr::get_terminal_stderr().is_none());
}
