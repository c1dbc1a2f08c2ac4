//! The third-party notices: who wrote what an image holds, and under which licence it is used.
//!
//! Law: the same sources give the same bytes, on any machine. What is in an image is asked of cargo
//! ([`graph`]) for each part of it ([`parts`]); which licence is used where there is a choice, and whether it may be
//! used at all, is decided by the list in `deny.toml` ([`licence`]); [`render`] writes it down.
//!
//! Why not cargo-about: it sees one workspace for one target, and the image holds programs that have lock files
//! of their own; and it would have to be built before anything else could be.
//!
//! Exit codes: 0 done, 1 refused, failed or out of date (a sentence on stderr), 2 wrong usage.

mod failure;
mod graph;
mod licence;
mod parts;
mod render;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use failure::{Failure, Result};
use licence::Allowed;

/// The file that is written, below the repository's root.
const NOTICES: &str = "THIRD-PARTY-NOTICES.md";
const USAGE: &str = "\
usage: xtask-notices write
       xtask-notices check

  write   writes THIRD-PARTY-NOTICES.md
  check   says whether it is up to date";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write"] => write(&root()),
        ["check"] => check(&root()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

fn write(root: &Path) -> Result<()> {
    let file = root.join(NOTICES);
    fs::write(&file, notices(root)?).map_err(|e| Failure::io("write", &file, e))
}

fn check(root: &Path) -> Result<()> {
    let file = root.join(NOTICES);
    let kept = fs::read_to_string(&file).map_err(|e| Failure::io("read", &file, e))?;
    if kept == notices(root)? {
        return Ok(());
    }
    Err(Failure::OutOfDate)
}

fn notices(root: &Path) -> Result<String> {
    let allowed = Allowed::read(&root.join("deny.toml"))?;
    allowed.check_same(&root.join("about.toml"))?;
    let mut contents = Vec::new();
    for part in parts::parts(root)? {
        let packages = graph::packages(root, &part)?;
        contents.push((part.name, packages));
    }
    let apache = root.join("LICENSE-APACHE");
    let apache = fs::read_to_string(&apache).map_err(|e| Failure::io("read", &apache, e))?;
    render::render(&contents, &allowed, &apache)
}
