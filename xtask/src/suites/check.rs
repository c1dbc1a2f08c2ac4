//! `cargo xtask check`, one test per check.

use super::Report;
use crate::build;
use crate::check;
use crate::failure::Result;
use crate::paths::Paths;

/// Runs every check.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    build::build_kernel(paths)?;
    for check in check::CHECKS {
        report.test(check.name, || (check.run)(paths));
    }
    Ok(())
}
