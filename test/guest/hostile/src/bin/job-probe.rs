//! Does what a job may do, in a way that is the same on every system: run natively and as a guest over copies
//! of one tree, it must leave the same output and the same tree.
//!
//! Arguments: the deed, then whatever is to be shown again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Bytes written to stdout by "everything", behind those of stdin.
const OUTPUT_BYTES: usize = 1 << 20;
/// Output between two lines on stderr.
const OUTPUT_PIECE_BYTES: usize = 10_000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("everything") => {
            everything(&arguments[1..])?;
            exit(7)
        }
        Some("exit") => exit(arguments[1].parse().unwrap_or(99)),
        Some("fail") => Err(io::Error::other("this program fails")),
        Some("trap") => outer(arguments.len()),
        Some("write-for-ever") => write_for_ever(),
        Some("read-only") => report_input(),
        _ => Err(io::Error::other("there is no such deed")),
    }
}

fn everything(arguments: &[String]) -> io::Result<()> {
    eprintln!("arguments: {arguments:?}");
    list(Path::new("."))?;
    echo_input()?;
    write_output()?;
    change_tree()
}

/// Every entry below `folder`: kind, length, time, contents.
fn list(folder: &Path) -> io::Result<()> {
    let mut paths: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    paths.sort();
    for path in paths {
        let metadata = fs::symlink_metadata(&path)?;
        let modified = metadata
            .modified()?
            .duration_since(UNIX_EPOCH)
            .map_err(io::Error::other)?;
        if metadata.is_symlink() {
            // WASI does not tell where an absolute link leads.
            let target = fs::read_link(&path)
                .ok()
                .filter(|target| target.is_relative());
            println!("{} -> {target:?}", path.display());
        } else if metadata.is_dir() {
            println!("{}/ {modified:?}", path.display());
            list(&path)?;
        } else {
            println!(
                "{} {} {modified:?} {:016x}",
                path.display(),
                metadata.len(),
                digest(&fs::read(&path)?)
            );
        }
    }
    Ok(())
}

/// FNV-1a.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn echo_input() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    println!("input: {} bytes, {:016x}", input.len(), digest(&input));
    io::stdout().write_all(&input)
}

fn report_input() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    println!("input: {} bytes", input.len());
    Ok(())
}

/// All byte values, in no order, with lines on stderr in between.
fn write_output() -> io::Result<()> {
    let mut output = Vec::with_capacity(OUTPUT_BYTES);
    let mut state = 1_u32;
    while output.len() < OUTPUT_BYTES {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        output.push((state >> 24) as u8);
    }
    for (number, piece) in output.chunks(OUTPUT_PIECE_BYTES).enumerate() {
        io::stdout().write_all(piece)?;
        io::stdout().flush()?;
        eprintln!("piece {number}");
    }
    Ok(())
}

/// Creates, overwrites, appends, cuts, renames and deletes.
fn change_tree() -> io::Result<()> {
    fs::create_dir_all("made/deeper/deepest")?;
    fs::write("made/deeper/file", vec![0xa5; 100_000])?;
    fs::write("made/empty", b"")?;
    fs::write("made/\u{d55c}\u{ae00} name", "by a program")?;
    fs::remove_file("to-delete")?;
    fs::remove_dir_all("folder-to-delete")?;
    fs::rename("to-rename", "made/renamed")?;
    fs::rename("folder-to-rename", "folder-renamed")?;
    OpenOptions::new()
        .append(true)
        .open("to-append")?
        .write_all(b", and more")?;
    OpenOptions::new().write(true).open("to-cut")?.set_len(3)?;
    let mut file = OpenOptions::new().read(true).write(true).open("large")?;
    file.seek(SeekFrom::Start(1_500_000))?;
    file.write_all(b"changed in the middle")?;
    let sparse = File::create("made/sparse")?;
    sparse.set_len(50_000)
}

fn write_for_ever() -> io::Result<()> {
    let line = [b'y'; 4000];
    loop {
        io::stdout().write_all(&line)?;
    }
}

#[inline(never)]
fn outer(depth: usize) -> io::Result<()> {
    innermost(std::hint::black_box(depth));
    Ok(())
}

#[inline(never)]
fn innermost(depth: usize) {
    assert!(
        std::hint::black_box(depth) > 1_000_000,
        "this program traps"
    );
}

#[cfg(target_os = "wasi")]
fn exit(code: u8) -> ! {
    wasip2::cli::exit::exit_with_code(code);
    unreachable!("exit returned")
}

#[cfg(not(target_os = "wasi"))]
fn exit(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
