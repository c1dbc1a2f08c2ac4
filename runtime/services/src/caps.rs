//! What a service can reach, and through whom, as text for a person.

use std::fmt::Write;

use lib_service_manifest::{FolderRights, Service, WhileDown};

use crate::ServiceRow;

/// Interfaces of the host that every process links to, with what they give without a grant.
const EVERYBODY: [(&str, &str); 10] = [
    (
        "wasi:cli, wasi:io",
        "its own arguments, environment and streams",
    ),
    ("wasi:clocks, wasi:random", "time and random numbers"),
    ("wasi:filesystem", "the folders that it was granted"),
    (
        "wasi:sockets, wasi:http",
        "nothing: they answer access-denied",
    ),
    ("kpio:process/pipes", "pipes of its own"),
    (
        "kpio:bulk/buffers",
        "buffers of its own, which it can hand over in calls",
    ),
    (
        "kpio:process/terminal",
        "the terminal behind its streams, if there is one",
    ),
    (
        "kpio:service/reactor",
        "to be told when what it can wait for is ready",
    ),
    (
        "kpio:service/escrow",
        "what is kept for a service, if it is one",
    ),
    (
        "kpio:service/watchdog",
        "to say that it is well, if it is a service",
    ),
];

/// What every process can reach of the host, in rows.
pub fn host_interfaces() -> String {
    let rows = EVERYBODY.iter();
    rows.map(|(interface, gives)| row(interface, gives))
        .collect()
}

/// What this service can reach, and who can reach it.
pub(crate) fn of_service(row: &ServiceRow, all: &[ServiceRow]) -> String {
    let service = &row.service;
    let mut text = heading(row);
    section(&mut text, "imports from services", imports(service, all));
    section(&mut text, "granted interfaces", grants(service));
    section(&mut text, "folders", folders(service));
    section(&mut text, "limits", limits(service));
    section(&mut text, "serves", clients(service, all));
    section(&mut text, "as every process", host_interfaces());
    text
}

fn heading(row: &ServiceRow) -> String {
    let (name, program) = (&row.service.name, &row.service.program);
    match row.process {
        Some(id) => format!("{name}: process {id}, {program}\n"),
        None => format!("{name}: {program}, no process\n"),
    }
}

fn section(text: &mut String, title: &str, rows: String) {
    let rows = match rows.is_empty() {
        true => "    (none)\n".to_owned(),
        false => rows,
    };
    // Writing to a text cannot fail.
    let _ = write!(text, "  {title}:\n{rows}");
}

/// One thing that can be reached, and how. What it is called may be a program's choice, so it is escaped; how it is reached is
/// shown as it is.
pub fn row(what: &str, how: &str) -> String {
    let what = what.escape_debug().to_string();
    format!("    {what:28} {how}\n")
}

fn imports(service: &Service, all: &[ServiceRow]) -> String {
    let imports = service.imports.iter().map(|import| {
        let provider = all.iter().find(|other| other.service.name == import.from);
        let state = provider.map_or("gone".to_owned(), |other| other.status.state.to_string());
        let otherwise = match import.while_down {
            WhileDown::Wait => "waits for it",
            WhileDown::Fail => "fails without it",
        };
        let how = format!("through {} ({state}), {otherwise}", import.from);
        row(&import.interface, &how)
    });
    imports.collect()
}

fn grants(service: &Service) -> String {
    let grants = service.grants.iter();
    let grants = grants.map(|grant| row(grant, "through the kernel"));
    let terminal = service.terminal.iter();
    let terminal = terminal.map(|number| row(&format!("terminal {number}"), "through the console"));
    grants.chain(terminal).collect()
}

fn folders(service: &Service) -> String {
    let folders = service.folders.iter().map(|folder| {
        let rights = match folder.rights {
            FolderRights::Read => "read",
            FolderRights::ReadWrite => "read-write",
        };
        row(
            &folder.at,
            &format!("{}, {rights}", folder.path.escape_debug()),
        )
    });
    folders.collect()
}

fn limits(service: &Service) -> String {
    let limits = &service.limits;
    let optional = |limit: Option<u64>| limit.map_or("any".to_owned(), |limit| limit.to_string());
    [
        ("memory", format!("{} KiB", limits.memory_bytes >> 10)),
        ("handles", limits.handles.to_string()),
        ("processes", limits.processes.to_string()),
        (
            "cpu, in percent of one",
            optional(limits.cpu_percent.map(u64::from)),
        ),
        ("output, in bytes", optional(limits.output_bytes)),
        ("escrow", format!("{} KiB", limits.escrow_bytes >> 10)),
    ]
    .iter()
    .map(|(what, limit)| row(what, limit))
    .collect()
}

/// Who may call what it provides.
fn clients(service: &Service, all: &[ServiceRow]) -> String {
    let provided = service.provides.iter().map(|interface| {
        let imports = |other: &&ServiceRow| {
            let mut imports = other.service.imports.iter();
            imports.any(|import| import.from == service.name && import.interface == *interface)
        };
        let names: Vec<_> = all.iter().filter(imports).collect();
        let names: Vec<_> = names
            .iter()
            .map(|other| other.service.name.as_str())
            .collect();
        let to = match names.is_empty() {
            true => "nobody".to_owned(),
            false => names.join(", "),
        };
        row(interface, &format!("to {to}"))
    });
    provided.collect()
}
