//! What ordinary Rust programs do, through `std` alone. The first argument names the case; a case that
//! finds something wrong panics, which the host sees as a trap.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant, SystemTime};

/// Codes that `std` gives no kind of its own for this target, as the C library for WASI numbers them.
const EIO: i32 = 29;
const EISDIR: i32 = 31;
const ENOTDIR: i32 = 54;
const ENOTEMPTY: i32 = 55;

/// The code of an error that must be there.
fn code<T>(answer: io::Result<T>) -> i32 {
    let error = answer.map(drop).expect_err("an error");
    error.raw_os_error().expect("an error of the system")
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments[1].as_str() {
        "arguments" => print_arguments(&arguments[2..]),
        "cat" => cat(),
        "clocks" => clocks(),
        "directories" => directories(),
        "exit" => std::process::exit(arguments[2].parse().expect("a number")),
        "fill" => fill(),
        "files" => files(),
        "flood" => flood(arguments[2].parse().expect("a number")),
        "hash-maps" => hash_maps(),
        "links" => links(),
        "panic" => panic!("as asked"),
        "read-only" => read_only(),
        "escape" => escape(),
        other => panic!("there is no case {other}"),
    }
}

fn print_arguments(arguments: &[String]) {
    for argument in arguments {
        println!("{argument}");
    }
    for (name, value) in std::env::vars() {
        println!("{name}={value}");
    }
    eprintln!("to stderr");
}

fn cat() {
    let copied = io::copy(&mut io::stdin(), &mut io::stdout()).expect("stdin and stdout work");
    eprintln!("{copied} bytes");
}

/// Writes numbered lines until there are enough or nobody reads.
fn flood(bytes: usize) {
    let mut out = io::stdout().lock();
    let mut done = 0;
    while done < bytes {
        let line = format!("{:063}\n", done / 64);
        match out.write_all(line.as_bytes()) {
            Ok(()) => done += line.len(),
            Err(error) => {
                eprintln!("stopped: {:?}", error.kind());
                return;
            }
        }
    }
}

fn clocks() {
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(SystemTime::now() > SystemTime::UNIX_EPOCH);
}

fn hash_maps() {
    let map: std::collections::HashMap<u32, u32> = (0..1000).map(|n| (n, n * n)).collect();
    assert_eq!(map[&30], 900);
}

fn files() {
    let mut file = File::create_new("/f").expect("a new file");
    file.write_all(b"one two three").expect("written");
    assert_eq!(
        File::create_new("/f").unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/f")
        .expect("opened");
    file.seek(SeekFrom::Start(4)).expect("sought");
    file.write_all(b"TWO").expect("overwritten");
    let mut text = String::new();
    file.rewind().expect("sought");
    file.read_to_string(&mut text).expect("read");
    assert_eq!(text, "one TWO three");

    let mut end = OpenOptions::new().append(true).open("/f").expect("opened");
    end.write_all(b" four").expect("appended");
    assert_eq!(fs::read("/f").expect("read"), b"one TWO three four");
    file.set_len(3).expect("cut off");
    assert_eq!(fs::metadata("/f").expect("described").len(), 3);
    drop((file, end));

    fs::rename("/f", "/g").expect("renamed");
    assert_eq!(fs::read("/f").unwrap_err().kind(), ErrorKind::NotFound);
    let open = File::open("/g").expect("opened");
    fs::remove_file("/g").expect("removed");
    assert_eq!(io::read_to_string(open).expect("still there"), "one");
    big_file();
}

fn big_file() {
    let block: Vec<u8> = (0..100_003u32).map(|n| (n % 251) as u8).collect();
    let mut file = File::create("/big").expect("created");
    for _ in 0..10 {
        file.write_all(&block).expect("written");
    }
    file.sync_all().expect("synchronized");
    let read = fs::read("/big").expect("read");
    assert_eq!(read.len(), 10 * block.len());
    assert!(read.chunks(block.len()).all(|part| part == block));
}

fn directories() {
    fs::create_dir_all("/d/e").expect("made");
    for number in 0..200 {
        fs::write(format!("/d/e/{number}"), number.to_string()).expect("written");
    }
    let mut names: Vec<u32> = fs::read_dir("/d/e")
        .expect("listed")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .parse()
                .expect("a number")
        })
        .collect();
    names.sort_unstable();
    assert!(names.into_iter().eq(0..200));
    assert_eq!(code(fs::remove_dir("/d")), ENOTEMPTY);
    assert_eq!(code(fs::remove_file("/d")), EISDIR);
    assert_eq!(code(fs::read("/d/e/1/x")), ENOTDIR);
    fs::rename("/d/e", "/moved").expect("moved");
    assert_eq!(fs::read_to_string("/moved/7").expect("read"), "7");
    fs::remove_dir_all("/moved").expect("removed with all in it");
    fs::remove_dir("/d").expect("removed");
    assert_eq!(fs::read_dir("/").expect("listed").count(), 0);
}

fn links() {
    fs::write("/f", "text").expect("written");
    fs::hard_link("/f", "/h").expect("linked");
    #[expect(
        deprecated,
        reason = "the only stable way to make a link for this target"
    )]
    fs::soft_link("f", "/s").expect("linked");
    fs::write("/h", "changed").expect("written");
    assert_eq!(fs::read_to_string("/s").expect("read"), "changed");
    assert_eq!(fs::read_link("/s").expect("a link").to_str(), Some("f"));
    assert!(fs::symlink_metadata("/s").expect("described").is_symlink());
    fs::remove_file("/f").expect("removed");
    assert_eq!(fs::read("/s").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs::read_to_string("/h").expect("read"), "changed");
}

fn read_only() {
    assert_eq!(fs::read_to_string("/f").expect("read"), "given");
    let kinds = [
        fs::write("/f", "x").unwrap_err().kind(),
        fs::write("/new", "x").unwrap_err().kind(),
        fs::remove_file("/f").unwrap_err().kind(),
        fs::create_dir("/d").unwrap_err().kind(),
        fs::rename("/f", "/g").unwrap_err().kind(),
        fs::hard_link("/f", "/g").unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::ReadOnlyFilesystem; 6]);
}

fn escape() {
    for path in [
        "/../secret",
        "/d/../../secret",
        "../secret",
        "/up/secret",
        "/abs",
    ] {
        let error = fs::read(path).expect_err(path);
        assert_ne!(error.kind(), ErrorKind::NotFound, "{path}: {error}");
    }
    assert_eq!(fs::read_to_string("/d/../f").expect("read"), "given");
}

/// Writes until there is no space, and says so.
fn fill() {
    let mut file = File::create("/full").expect("created");
    let error = loop {
        if let Err(error) = file.write_all(&[7; 65536]) {
            break error;
        }
    };
    // The C library does not ask a failed stream for its file system's code, and says EIO for all of them.
    assert_eq!(error.raw_os_error(), Some(EIO), "{error}");
    drop(file);
    fs::remove_file("/full").expect("removed");
    fs::write("/again", "room").expect("there is room again");
}
