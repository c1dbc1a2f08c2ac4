//! All services together, and what holds between them.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::de::{DeTable, DeValue};

use crate::keys::Result;
use crate::read;
use crate::{CONSOLE, ManifestError, SERVICES_MAX, Service, TEXT_LEN_BYTES_MAX};

/// Services that fit together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    services: Vec<Service>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > TEXT_LEN_BYTES_MAX {
            return Err(whole(format!(
                "it has {} bytes, and {TEXT_LEN_BYTES_MAX} are the most",
                text.len()
            )));
        }
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            whole(format!("line {line}: {}", error.message().trim()))
        })?;
        let services = tables(table.get_ref())?
            .into_iter()
            .enumerate()
            .map(|(index, table)| read::service(table, &format!("number {}", index + 1)))
            .collect::<Result<_>>()?;
        let manifest = Self { services };
        manifest.check_names()?;
        manifest.check_dependencies()?;
        manifest.check_circles()?;
        manifest.check_terminals()?;
        Ok(manifest)
    }

    /// The services, in the text's order.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The service of this name.
    pub fn get(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Whether each service's program is one of the image's.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check_programs(&self, is_program: impl Fn(&str) -> bool) -> Result<()> {
        let missing = self.services.iter().find(|s| !is_program(&s.program));
        let Some(service) = missing else {
            return Ok(());
        };
        let problem = format!(
            "'{}' is no program of the image: write a name that a [[program]] or [[own-program]] has",
            service.program
        );
        Err(about(service, "program", problem))
    }

    fn check_names(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        let twice = self.services.iter().find(|s| !seen.insert(&s.name));
        match twice {
            None => Ok(()),
            Some(service) => Err(about(
                service,
                "name",
                "another service has this name: write another one".to_owned(),
            )),
        }
    }

    fn check_dependencies(&self) -> Result<()> {
        for service in &self.services {
            for import in &service.imports {
                let key = format!("imports.{}", import.interface);
                let provider = self.existing(service, &key, &import.from)?;
                if !provider.provides.contains(&import.interface) {
                    let others = self.providers(&import.interface);
                    let problem = format!("'{}' does not provide it: {others}", import.from);
                    return Err(about(service, &key, problem));
                }
            }
            for name in &service.after {
                self.existing(service, "after", name)?;
            }
        }
        Ok(())
    }

    fn existing(&self, service: &Service, key: &str, name: &str) -> Result<&Service> {
        let known = || {
            let names: Vec<_> = self.services.iter().map(|s| s.name.as_str()).collect();
            let name = name.escape_debug();
            let problem = format!(
                "there is no service '{name}': write one of {}",
                names.join(", ")
            );
            about(service, key, problem)
        };
        self.get(name).ok_or_else(known)
    }

    /// Who provides the interface, as the end of a sentence.
    fn providers(&self, interface: &str) -> String {
        let provides = |s: &&Service| s.provides.iter().any(|provided| provided == interface);
        let names: Vec<_> = self.services.iter().filter(provides).collect();
        let names: Vec<_> = names.iter().map(|s| s.name.as_str()).collect();
        match names.as_slice() {
            [] => "nobody does, so write it into the 'provides' of who shall".to_owned(),
            names => format!("write {}", names.join(" or ")),
        }
    }

    /// Whoever is on a terminal is seen by the console, of which there is one.
    fn check_terminals(&self) -> Result<()> {
        let mut consoles = self.consoles();
        let (first, second) = (consoles.next(), consoles.next());
        let on_terminal = self.services.iter().find(|s| s.terminal.is_some());
        match (first, second, on_terminal) {
            (Some(first), Some(second), _) => {
                let problem = format!(
                    "'{}' is granted '{CONSOLE}' too, and one service can have that: take it out of one of them",
                    first.name
                );
                Err(about(second, "grants", problem))
            }
            (None, _, Some(service)) => {
                let problem = format!(
                    "nobody would show what it writes: leave the key out, or grant a service '{CONSOLE}'"
                );
                Err(about(service, "terminal", problem))
            }
            _ => Ok(()),
        }
    }

    /// The service that shows terminals, if there is one.
    pub fn console(&self) -> Option<&Service> {
        self.consoles().next()
    }

    fn consoles(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|s| s.is_granted(CONSOLE))
    }

    /// Takes away again and again who depends only on what was taken; what is left at the end is in a circle, or
    /// depends on one.
    fn check_circles(&self) -> Result<()> {
        let mut open: BTreeMap<&str, &Service> =
            self.services.iter().map(|s| (s.name.as_str(), s)).collect();
        loop {
            let done = open
                .values()
                .find(|s| s.dependencies().all(|name| !open.contains_key(name)));
            match done.map(|service| service.name.as_str()) {
                Some(name) => drop(open.remove(name)),
                None => break,
            }
        }
        let Some(&first) = open.values().next() else {
            return Ok(());
        };
        let circle = circle(&open, first);
        let problem = format!(
            "it depends on itself, by way of {}: take one of these out of 'imports' or 'after'",
            circle.join(", ")
        );
        let guilty = circle
            .first()
            .and_then(|name| self.get(name))
            .unwrap_or(first);
        Err(ManifestError {
            service: Some(guilty.name.clone()),
            key: None,
            problem,
        })
    }
}

/// The names of a circle, found by following open dependencies from `first` until one comes twice.
fn circle<'a>(open: &BTreeMap<&'a str, &'a Service>, first: &'a Service) -> Vec<&'a str> {
    let mut walk = Vec::from([first.name.as_str()]);
    let mut at = first;
    while let Some(next) = at.dependencies().find_map(|name| open.get(name)) {
        if let Some(start) = walk.iter().position(|name| *name == next.name) {
            return walk.split_off(start);
        }
        walk.push(next.name.as_str());
        at = next;
    }
    walk
}

/// The tables of all services.
fn tables<'a>(text: &'a DeTable<'a>) -> Result<Vec<&'a DeTable<'a>>> {
    let mut tables = Vec::new();
    for (key, value) in text {
        let services = match (key.get_ref().as_ref(), value.get_ref()) {
            ("service", DeValue::Array(services)) => services,
            ("service", _) => return Err(whole("write [[service]] with two brackets".to_owned())),
            (other, _) => {
                let other = other.escape_debug();
                return Err(whole(format!(
                    "there is no such key '{other}': services are tables [[service]]"
                )));
            }
        };
        if services.len() > SERVICES_MAX {
            return Err(whole(format!("it has more than {SERVICES_MAX} services")));
        }
        for service in services {
            let table = service.get_ref().as_table();
            let wrong = || whole("write [[service]] for each service".to_string());
            tables.push(table.ok_or_else(wrong)?);
        }
    }
    Ok(tables)
}

fn whole(problem: String) -> ManifestError {
    ManifestError {
        service: None,
        key: None,
        problem,
    }
}

fn about(service: &Service, key: &str, problem: String) -> ManifestError {
    ManifestError {
        service: Some(service.name.clone()),
        key: Some(key.to_owned()),
        problem,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.bytes().take(at);
    before.filter(|&byte| byte == b'\n').count() + 1
}
