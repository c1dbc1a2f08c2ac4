//! `tree FOLDER`: a tree of text to search, the same wherever it is made: 2,000 files of 25,000 bytes in 100 folders. One line
//! in each file holds the word that nothing else holds.

use std::fs;
use std::io;
use std::process::ExitCode;

const FOLDERS: usize = 100;
const FILES: usize = 20;
const FILE_BYTES: usize = 25_000;
/// Text that files are cut from, each from another place on.
const STOCK_BYTES: usize = 512 << 10;
const WORDS: [&str; 16] = [
    "frame", "page", "region", "thread", "process", "handle", "channel", "message", "grant",
    "surface", "manifest", "image", "window", "budget", "stream", "folder",
];
/// Between so many words a line ends.
const LINE_WORDS: usize = 9;
const NEEDLE: &str = "quicksilver\n";

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: tree FOLDER");
        return ExitCode::from(2);
    };
    match plant(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tree: {folder}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plant(folder: &str) -> io::Result<()> {
    let stock = stock();
    let places = stock.len() - FILE_BYTES;
    for number in 0..FOLDERS {
        let folder = format!("{folder}/{number:02}");
        fs::create_dir_all(&folder)?;
        for file in 0..FILES {
            let from = (number * FILES + file) * 7919 % places;
            let text = [NEEDLE, &stock[from..from + FILE_BYTES - NEEDLE.len()]].concat();
            fs::write(format!("{folder}/{file:02}.txt"), text)?;
        }
    }
    Ok(())
}

/// Lines of words, by a linear congruence.
fn stock() -> String {
    let mut text = String::with_capacity(STOCK_BYTES);
    let mut state = 1_u32;
    for number in 1.. {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += WORDS[(state >> 28) as usize];
        text.push(if number % LINE_WORDS == 0 { '\n' } else { ' ' });
        if text.len() >= STOCK_BYTES {
            break;
        }
    }
    text
}
