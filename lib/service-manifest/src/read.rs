//! One `[[service]]` table becomes a [`Service`].

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use toml::de::DeTable;

use crate::keys::{Keys, Result};
use crate::{
    Folder, FolderRights, GRANTS, Health, Import, Limits, NAME_LEN_BYTES_MAX, Ready, Restart,
    RestartPolicy, Service, Start, TERMINALS, WhileDown,
};

const KEYS: [&str; 19] = [
    "name",
    "program",
    "arguments",
    "environment",
    "provides",
    "imports",
    "grants",
    "terminal",
    "start",
    "folders",
    "limits",
    "restart",
    "after",
    "ready",
    "start-deadline-ms",
    "stop-deadline-ms",
    "health",
    // Reserved: refused by a sentence of their own.
    "network",
    "devices",
];

const RESTART_POLICIES: [(&str, RestartPolicy); 3] = [
    ("always", RestartPolicy::Always),
    ("on-failure", RestartPolicy::OnFailure),
    ("never", RestartPolicy::Never),
];
const WHILE_DOWN: [(&str, WhileDown); 2] = [("wait", WhileDown::Wait), ("fail", WhileDown::Fail)];
const START: [(&str, Start); 2] = [("at-once", Start::AtOnce), ("when-shown", Start::WhenShown)];
const READY: [(&str, Ready); 3] = [
    ("started", Ready::Started),
    ("serving", Ready::Serving),
    ("finished", Ready::Finished),
];
const RIGHTS: [(&str, FolderRights); 2] = [
    ("read", FolderRights::Read),
    ("read-write", FolderRights::ReadWrite),
];

/// How long a service has until it serves, unless its manifest says it, in milliseconds.
const START_DEADLINE_DEFAULT_MS: u64 = 30_000;
/// How late a sign of life may be, unless the manifest says it, in milliseconds.
const HEALTH_DEADLINE_DEFAULT_MS: u64 = 5_000;
/// How long a service has to end, unless its manifest says it, in milliseconds.
const STOP_DEADLINE_DEFAULT_MS: u64 = 2_000;
/// The longest time that can be written, in milliseconds: a day.
const TIME_MS_MAX: u64 = 24 * 3600 * 1000;

/// The service that the table describes, as far as it can be judged alone. `place` names it where it has no name.
pub(crate) fn service(table: &DeTable<'_>, place: &str) -> Result<Service> {
    let named = table.iter().find(|(key, _)| key.get_ref() == "name");
    let label = named
        .and_then(|(_, value)| value.get_ref().as_str())
        .unwrap_or(place);
    let keys = Keys::new(label, table, &KEYS)?;
    refuse_reserved(&keys)?;
    let ready = keys.choice("ready", &READY)?.unwrap_or_default();
    let provides = interfaces(&keys, "provides")?;
    let restart = restart(&keys)?;
    check_ready(&keys, ready, &provides, &restart)?;
    let health = health(&keys, ready, &provides)?;
    let start_deadline_ms = keys.number("start-deadline-ms", 1..=TIME_MS_MAX)?;
    let stop_deadline_ms = keys.number("stop-deadline-ms", 1..=TIME_MS_MAX)?;
    let stop_deadline_ms = stop_deadline_ms.unwrap_or(STOP_DEADLINE_DEFAULT_MS);
    let limits = limits(&keys)?;
    check_patience(&keys, health, &limits, stop_deadline_ms)?;
    Ok(Service {
        name: name(&keys, "name", "\"log\"")?,
        program: name(&keys, "program", "\"logd\"")?,
        arguments: keys.list("arguments", "\"--quiet\"")?,
        environment: environment(&keys)?,
        provides,
        imports: imports(&keys)?,
        grants: grants(&keys)?,
        terminal: terminal(&keys)?,
        start: start(&keys)?,
        folders: folders(&keys)?,
        limits,
        restart,
        after: keys.list("after", "\"log\"")?,
        ready,
        start_deadline_ms: start_deadline_ms.unwrap_or(START_DEADLINE_DEFAULT_MS),
        health,
        stop_deadline_ms,
    })
}

/// Whether the service can become ready in this way.
fn check_ready(
    keys: &Keys<'_>,
    ready: Ready,
    provides: &[String],
    restart: &Restart,
) -> Result<()> {
    let problem = match (ready, provides, restart.policy) {
        (Ready::Serving, [], _) => {
            "it provides nothing that it could serve: write ready = \"started\", or what it provides"
        }
        (Ready::Finished, [_, ..], _) => {
            "who has ended cannot serve what it provides: write ready = \"serving\", or leave 'provides' out"
        }
        (Ready::Finished, _, RestartPolicy::Always) => {
            "who is always started again never finishes: write restart = { policy = \"on-failure\" }"
        }
        _ => return Ok(()),
    };
    Err(keys.error("ready", problem))
}

fn health(keys: &Keys<'_>, ready: Ready, provides: &[String]) -> Result<Option<Health>> {
    const EXAMPLE: &str = "every-ms = 1000, deadline-ms = 500";
    let Some(table) = keys.table("health", Some(&["every-ms", "deadline-ms"]), EXAMPLE)? else {
        return Ok(None);
    };
    if ready == Ready::Finished {
        let problem = "who is to end has to show nothing else: leave the key out";
        return Err(keys.error("health", problem));
    }
    if ready != Ready::Serving && !provides.is_empty() {
        let problem = "it would be asked before it can answer: write ready = \"serving\" too";
        return Err(keys.error("health", problem));
    }
    let every_ms = table.number("every-ms", 1..=TIME_MS_MAX)?;
    let missing = || table.error("every-ms", "it is missing: write every-ms = 1000");
    let deadline_ms = table.number("deadline-ms", 1..=TIME_MS_MAX)?;
    Ok(Some(Health {
        every_ms: every_ms.ok_or_else(missing)?,
        deadline_ms: deadline_ms.unwrap_or(HEALTH_DEADLINE_DEFAULT_MS),
    }))
}

/// One that takes another's place waits for what is kept until the other has ended, and cannot show that it is well meanwhile.
fn check_patience(
    keys: &Keys<'_>,
    health: Option<Health>,
    limits: &Limits,
    stop_deadline_ms: u64,
) -> Result<()> {
    let is_short = health.is_some_and(|health| {
        let patience_ms = health.every_ms.saturating_add(health.deadline_ms);
        limits.escrow_bytes > 0 && patience_ms <= stop_deadline_ms
    });
    if is_short {
        let problem = format!(
            "who takes its place could be waiting for the escrow for {stop_deadline_ms} ms, and would be taken for ill: \
             give every-ms and deadline-ms together more than that"
        );
        return Err(keys.error("health", problem));
    }
    Ok(())
}

fn refuse_reserved(keys: &Keys<'_>) -> Result<()> {
    for key in ["network", "devices"] {
        if keys.has(key) {
            let problem = "nothing provides that yet, so it cannot be granted: leave the key out";
            return Err(keys.error(key, problem));
        }
    }
    Ok(())
}

fn name(keys: &Keys<'_>, key: &str, example: &str) -> Result<String> {
    let name = keys.required(key, example)?;
    if is_name(&name) {
        return Ok(name);
    }
    let shown = name.escape_debug();
    Err(keys.error(
        key,
        format!(
            "'{shown}' is not possible: write 1 to {NAME_LEN_BYTES_MAX} letters, digits, '-' and '_', \
             the first no '-', as {example}"
        ),
    ))
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=NAME_LEN_BYTES_MAX).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(allowed)
}

fn environment(keys: &Keys<'_>) -> Result<Vec<(String, String)>> {
    let Some(table) = keys.table("environment", None, "TZ = \"UTC\"")? else {
        return Ok(Vec::new());
    };
    let variables = table.names().map(|name| {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(table.error(name, "a variable's name is not empty and has no '=' in it"));
        }
        Ok((name.into(), table.required(name, "\"…\"")?))
    });
    variables.collect()
}

/// A list of different names of interfaces.
fn interfaces(keys: &Keys<'_>, key: &str) -> Result<Vec<String>> {
    let list = keys.list(key, "\"kpio:log/reader\"")?;
    for (index, interface) in list.iter().enumerate() {
        check_interface(keys, key, interface)?;
        if list[..index].contains(interface) {
            return Err(keys.error(key, format!("'{interface}' comes twice: write it once")));
        }
    }
    Ok(list)
}

fn check_interface(keys: &Keys<'_>, key: &str, interface: &str) -> Result<()> {
    if is_interface(interface) {
        return Ok(());
    }
    let shown = interface.escape_debug();
    let problem =
        format!("'{shown}' is no name of an interface: write namespace:package/interface");
    Err(keys.error(key, problem))
}

/// `namespace:package/interface`, with or without `@version`.
fn is_interface(text: &str) -> bool {
    let (name, version) = text.split_once('@').unwrap_or((text, "0"));
    let is_word = |word: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        word.bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && word.bytes().all(allowed)
    };
    let is_version = |version: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.+".contains(&byte);
        !version.is_empty() && version.bytes().all(allowed)
    };
    let parts = name.split_once(':').and_then(|(namespace, rest)| {
        let (package, interface) = rest.split_once('/')?;
        Some([namespace, package, interface])
    });
    is_version(version) && parts.is_some_and(|parts| parts.iter().all(|part| is_word(part)))
}

fn imports(keys: &Keys<'_>) -> Result<Vec<Import>> {
    let Some(table) = keys.table("imports", None, "\"kpio:log/reader\" = \"log\"")? else {
        return Ok(Vec::new());
    };
    table.names().map(|name| import(&table, name)).collect()
}

fn import(table: &Keys<'_>, interface: &str) -> Result<Import> {
    const LONG: &str = "from = \"log\", while-down = \"fail\"";
    check_interface(table, interface, interface)?;
    let (from, while_down) = if table.is_table(interface) {
        let long = table.table(interface, Some(&["from", "while-down"]), LONG)?;
        let Some(long) = long else {
            return Err(table.error(interface, "it is empty"));
        };
        let while_down = long.choice("while-down", &WHILE_DOWN)?;
        (
            long.required("from", "\"log\"")?,
            while_down.unwrap_or_default(),
        )
    } else {
        (table.required(interface, "\"log\"")?, WhileDown::default())
    };
    Ok(Import {
        interface: interface.into(),
        from,
        while_down,
    })
}

fn grants(keys: &Keys<'_>) -> Result<Vec<String>> {
    let list = interfaces(keys, "grants")?;
    let unknown = list.iter().find(|name| !GRANTS.contains(&name.as_str()));
    match unknown {
        None => Ok(list),
        Some(name) => Err(keys.error(
            "grants",
            format!(
                "'{name}' is no interface that can be granted: those are {}; what another service provides is an import",
                GRANTS.join(", ")
            ),
        )),
    }
}

fn terminal(keys: &Keys<'_>) -> Result<Option<u8>> {
    let number = keys.number("terminal", 1..=u64::from(TERMINALS))?;
    Ok(number.and_then(|number| u8::try_from(number).ok()))
}

fn start(keys: &Keys<'_>) -> Result<Start> {
    let start = keys.choice("start", &START)?.unwrap_or_default();
    if start == Start::WhenShown && terminal(keys)?.is_none() {
        let problem =
            "it has no terminal that could be shown: write start = \"at-once\", or its 'terminal'";
        return Err(keys.error("start", problem));
    }
    Ok(start)
}

fn folders(keys: &Keys<'_>) -> Result<Vec<Folder>> {
    const EXAMPLE: &str = "{ path = \"/share\", at = \"/data\", rights = \"read\" }";
    let tables = keys.tables("folders", &["path", "at", "rights"], EXAMPLE)?;
    let folders: Vec<Folder> = tables.iter().map(folder).collect::<Result<_>>()?;
    for (index, folder) in folders.iter().enumerate() {
        if folders[..index].iter().any(|other| other.at == folder.at) {
            let problem = format!(
                "two folders are at '{}': name one of them otherwise",
                folder.at.escape_debug()
            );
            return Err(keys.error("folders", problem));
        }
    }
    Ok(folders)
}

fn folder(table: &Keys<'_>) -> Result<Folder> {
    let path = absolute(table, "path", table.required("path", "\"/share\"")?)?;
    let at = match table.text("at", "\"/data\"")? {
        None => path.clone(),
        Some(at) => absolute(table, "at", at)?,
    };
    let rights = table.choice("rights", &RIGHTS)?;
    Ok(Folder {
        path,
        at,
        rights: rights.unwrap_or(FolderRights::Read),
    })
}

/// A path from the root that leads nowhere around.
fn absolute(table: &Keys<'_>, key: &str, path: String) -> Result<String> {
    let is_plain = path.strip_prefix('/').is_some_and(|rest| {
        let plain = |part: &str| !matches!(part, "" | "." | "..");
        rest.is_empty() || rest.split('/').all(plain)
    });
    if is_plain && !path.chars().any(char::is_control) {
        return Ok(path);
    }
    let shown = path.escape_debug();
    let problem = format!(
        "'{shown}' is not possible: write an absolute path without '.', '..', control characters and a slash at its end"
    );
    Err(table.error(key, problem))
}

fn limits(keys: &Keys<'_>) -> Result<Limits> {
    const KEYS: [&str; 6] = [
        "memory",
        "handles",
        "processes",
        "cpu-percent",
        "output",
        "escrow",
    ];
    let usual = Limits::default();
    let Some(table) = keys.table("limits", Some(&KEYS), "memory = \"16M\"")? else {
        return Ok(usual);
    };
    let number = |key: &str, most: u64| -> Result<Option<u32>> {
        let number = table.number(key, 1..=most)?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    };
    Ok(Limits {
        memory_bytes: table
            .size("memory", 4 << 20..=1 << 40)?
            .unwrap_or(usual.memory_bytes),
        handles: number("handles", 1 << 20)?.unwrap_or(usual.handles),
        processes: number("processes", 1 << 16)?.unwrap_or(usual.processes),
        cpu_percent: number("cpu-percent", 100_000)?,
        output_bytes: table.size("output", 1 << 10..=1 << 40)?,
        escrow_bytes: table
            .size("escrow", 1 << 10..=1 << 30)?
            .unwrap_or(usual.escrow_bytes),
    })
}

fn restart(keys: &Keys<'_>) -> Result<Restart> {
    const KEYS: [&str; 5] = [
        "policy",
        "backoff-ms",
        "backoff-max-ms",
        "limit",
        "window-s",
    ];
    let usual = Restart::default();
    let Some(table) = keys.table("restart", Some(&KEYS), "policy = \"always\"")? else {
        return Ok(usual);
    };
    let backoff_ms = table.number("backoff-ms", 1..=TIME_MS_MAX)?;
    let backoff_ms = backoff_ms.unwrap_or(usual.backoff_ms);
    let backoff_max_ms = table.number("backoff-max-ms", 1..=TIME_MS_MAX)?;
    let backoff_max_ms = backoff_max_ms.unwrap_or(usual.backoff_max_ms.max(backoff_ms));
    if backoff_max_ms < backoff_ms {
        let problem = format!(
            "{backoff_max_ms} is less than backoff-ms, which is {backoff_ms}: write at least as much"
        );
        return Err(table.error("backoff-max-ms", problem));
    }
    let limit = table.number("limit", 0..=1000)?;
    let window_s = table.number("window-s", 1..=TIME_MS_MAX / 1000)?;
    Ok(Restart {
        policy: table
            .choice("policy", &RESTART_POLICIES)?
            .unwrap_or(usual.policy),
        backoff_ms,
        backoff_max_ms,
        limit: limit
            .and_then(|limit| u32::try_from(limit).ok())
            .unwrap_or(usual.limit),
        window_s: window_s.unwrap_or(usual.window_s),
    })
}

#[cfg(test)]
mod tests {
    use super::is_interface;

    #[test]
    fn interfaces_have_three_parts() {
        for right in ["kpio:log/reader", "a:b/c@0.2.12", "kpio:demo2/the-counter"] {
            assert!(is_interface(right), "{right}");
        }
        for wrong in [
            "", "log", "kpio:log", ":/", "a:b/c@", "a:b/c/d", "a b:c/d", "1:b/c", "a:b/",
        ] {
            assert!(!is_interface(wrong), "{wrong}");
        }
    }
}
