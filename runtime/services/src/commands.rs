//! The words of `svc` and `caps`, and their answers as text.

use std::fmt::Write;

use lib_service_manifest::Manifest;
use lib_service_policy::Command;

use crate::services::level;
use crate::{Level, ServiceRow, Services, caps};

/// What these commands ask of the system around them.
pub trait Surroundings {
    /// Whether the image has a program of this name.
    fn is_program(&self, name: &str) -> bool;
    /// The text of a file. An error is a sentence.
    fn text(&self, path: &str) -> Result<String, String>;
    /// Who started this process, if that was another one that still exists.
    fn parent(&self, process: u64) -> Option<u64>;
}

const USAGE: &str = "svc [list] | start NAME | stop NAME | restart NAME | kill NAME | replace NAME PROGRAM | \
                     revoke NAME INTERFACE | log NAME [LEVEL] | reload [PATH]";

/// Where the manifest is, in the system's tree.
const MANIFEST: &str = "/system/services.toml";

/// Processes between one and the service that it belongs to, at most.
const ANCESTORS_MAX: usize = 64;

impl Services {
    /// Answers the words behind `svc`. An error is a sentence.
    pub fn svc(&self, words: &[String], around: &dyn Surroundings) -> Result<String, String> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [] | ["list"] => Ok(table(&self.list())),
            ["start", name] => self.done(name, Command::Start),
            ["stop", name] => self.done(name, Command::Stop),
            ["restart", name] => self.done(name, Command::Restart),
            ["kill", name] => self.done(name, Command::Kill),
            ["replace", name, program] => self.replace(name, program, around),
            ["revoke", name, interface] => self.revoke(name, interface).map(|()| String::new()),
            ["log", name] => self.log_text(name, Level::Info),
            ["log", name, word] => self.log_text(name, level(word)?),
            ["reload"] => self.reload_from(MANIFEST, around),
            ["reload", path] => self.reload_from(path, around),
            _ => Err(format!("Say it so: {USAGE}")),
        }
    }

    fn done(&self, name: &str, command: Command) -> Result<String, String> {
        self.command(name, command).map(|()| String::new())
    }

    fn replace(
        &self,
        name: &str,
        program: &str,
        around: &dyn Surroundings,
    ) -> Result<String, String> {
        if !around.is_program(program) {
            let program = program.escape_debug();
            return Err(format!("There is no program called '{program}'."));
        }
        let program = program.to_owned();
        self.done(name, Command::Replace { program })
    }

    fn log_text(&self, name: &str, up_to: Level) -> Result<String, String> {
        self.find_log(name).map(|log| log.text(up_to).to_string())
    }

    fn reload_from(&self, path: &str, around: &dyn Surroundings) -> Result<String, String> {
        let manifest = Manifest::parse(&around.text(path)?);
        let checked = manifest.and_then(|manifest| {
            manifest.check_programs(|name| around.is_program(name))?;
            Ok(manifest)
        });
        let wrong = |error| format!("{}: {error}", path.escape_debug());
        self.reload(checked.map_err(wrong)?).map(|()| String::new())
    }

    /// What a service, or the service that a process belongs to, can reach, and through whom; `None` if it is neither a
    /// service nor belongs to one.
    pub fn caps(&self, what: &str, around: &dyn Surroundings) -> Option<String> {
        let rows = self.list();
        let by_name = rows.iter().find(|row| row.service.name == what);
        if let Some(row) = by_name {
            return Some(caps::of_service(row, &rows));
        }
        let id: u64 = what.parse().ok()?;
        let line = std::iter::successors(Some(id), |id| around.parent(*id));
        let mut line = line.take(ANCESTORS_MAX);
        let owner = line.find_map(|id| rows.iter().find(|row| row.process == Some(id)))?;
        let text = caps::of_service(owner, &rows);
        Some(match owner.process == Some(id) {
            true => text,
            false => format!(
                "Process {id} was started by this service, and has at most what it has.\n{text}"
            ),
        })
    }
}

/// All services in a table.
fn table(rows: &[ServiceRow]) -> String {
    if rows.is_empty() {
        return "There are no services.\n".to_owned();
    }
    let mut text = format!(
        "{:16} {:11} {:>7} {:>8} {:>7} {:>8}  {:16} {}\n",
        "NAME", "STATE", "PROCESS", "RESTARTS", "HANDLES", "MEMORY", "PROGRAM", "WHY"
    );
    for row in rows {
        let process = row.process.map_or("-".to_owned(), |id| id.to_string());
        let memory = format!("{} KiB", row.usage.memory_bytes >> 10);
        let status = &row.status;
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{:16} {:11} {process:>7} {:>8} {:>7} {memory:>8}  {:16} {}",
            status.name,
            status.state,
            status.restarts,
            row.usage.handles,
            status.program,
            status.why
        );
    }
    text
}
