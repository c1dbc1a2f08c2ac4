//! The image as data: `system/*.toml`.
//!
//! Law: what is in an image is read in one file, without reading code. Unknown keys are errors.

use std::collections::{BTreeMap, BTreeSet};

use lib_bundle::grants::{GrantTable, Grants};
use lib_service_manifest::Manifest;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::failure::{Failure, Result};
use crate::paths::{self, PRODUCT_KERNEL, Paths};

/// What goes into one image.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct System {
    /// Another file of this kind whose content comes first, by name: "base".
    pub extends: Option<String>,
    /// The package at the top of its kernel, where it is not the product's.
    pub kernel: Option<String>,
    /// Words for the kernel, separated by spaces.
    #[serde(default)]
    pub command_line: String,
    /// Programs from the cargo registry.
    #[serde(default, rename = "program")]
    pub programs: Vec<Program>,
    /// Programs that were written here.
    #[serde(default, rename = "own-program")]
    pub own_programs: Vec<OwnProgram>,
    /// Programs that were written here, in C.
    #[serde(default, rename = "c-program")]
    pub c_programs: Vec<CProgram>,
    /// Files and folders of the repository.
    #[serde(default)]
    pub copy: Vec<Copy>,
    /// Small files that are written here.
    #[serde(default)]
    pub text: Vec<Text>,
    /// Folders with nothing in them.
    #[serde(default)]
    pub directory: Vec<Directory>,
    /// Services, as `docs/services.md` describes them; `lib-service-manifest` judges them.
    #[serde(default, rename = "service")]
    services: Vec<toml::Table>,
}

/// A program that was written here, in a folder of its own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OwnProgram {
    /// The package's folder, from the repository's root.
    pub path: String,
    /// The binary it builds, without ending: `/bin/BINARY.wasm`.
    pub binary: String,
    /// Further names under which it is found, as those of [`Program`].
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether it may start programs. Least authority: only where it is said.
    #[serde(default)]
    pub may_spawn: bool,
    /// Whether it may control services, where whoever starts it may; and pass that on to programs that may too.
    #[serde(default)]
    pub may_control: bool,
    /// Interfaces of services that it may call, where whoever starts it may.
    #[serde(default)]
    pub may_call: BTreeSet<String>,
    /// The most that it may use, with all that it starts.
    #[serde(default)]
    pub limits: Limits,
}

/// A program that was written here in C, in one file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CProgram {
    /// The file, from the repository's root.
    pub source: String,
    /// What it is called: `/bin/BINARY.wasm`.
    pub binary: String,
    /// The world that it is written for, as in `kpio:demo/provider`.
    pub world: String,
    /// The folders of `contract/wit` that describe it, each after those that it needs.
    pub wit: Vec<String>,
    /// Whether it has no `main` and is only called.
    #[serde(default)]
    pub is_library: bool,
}

/// The most that a program may use, whoever starts it; what is not said is as much as whoever starts it may use.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Memory, as "64M".
    #[serde(default, deserialize_with = "size")]
    pub memory: Option<u64>,
    /// CPU time in any second, in hundredths of one CPU.
    pub cpu_percent: Option<u64>,
    /// CPU time in all, in seconds.
    pub cpu_time_s: Option<u64>,
    /// Handles at a time.
    pub handles: Option<u64>,
    /// Output and messages together, as "1M".
    #[serde(default, deserialize_with = "size")]
    pub output: Option<u64>,
    /// Processes at a time, itself included.
    pub processes: Option<u64>,
}

impl Limits {
    fn grants(&self, may_spawn: bool) -> Grants {
        Grants {
            may_spawn,
            may_control: false,
            may_call: Vec::new(),
            memory_bytes: self.memory,
            cpu_percent: self.cpu_percent,
            cpu_time_s: self.cpu_time_s,
            handles: self.handles,
            output_bytes: self.output,
            processes: self.processes,
        }
    }
}

/// A number of bytes as text: digits, and a letter for KiB, MiB or GiB behind them.
fn size<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<u64>, D::Error> {
    let text = String::deserialize(from)?;
    parse_size(&text).map(Some).ok_or_else(|| {
        let text = text.escape_debug();
        D::Error::custom(format_args!(
            "`{text}` is no size: write a number of bytes, or of KiB, MiB or GiB as \"64K\", \"64M\", \"1G\""
        ))
    })
}

fn parse_size(text: &str) -> Option<u64> {
    let shift = match text.chars().last()? {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        _ => 0,
    };
    let digits = text.strip_suffix(['K', 'M', 'G']).unwrap_or(text);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    number.checked_mul(1 << shift)
}

/// A program from the cargo registry, built without a patch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Program {
    /// The package's name in the registry.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// The binary it builds, without ending: `/bin/BINARY.wasm`.
    pub binary: String,
    /// Whether the package's default features are on.
    #[serde(default = "yes")]
    pub default_features: bool,
    /// Features to turn on.
    #[serde(default)]
    pub features: Vec<String>,
    /// Whether it keeps its functions' names, for backtraces; they make a program a tenth larger.
    #[serde(default = "yes")]
    pub function_names: bool,
    /// Further names under which it is found: links to the binary, which learns its name from the
    /// first of its arguments.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether it may start programs, under each of its names.
    #[serde(default)]
    pub may_spawn: bool,
    /// The most that it may use, with all that it starts, under each of its names.
    #[serde(default)]
    pub limits: Limits,
}

/// A file or folder of the repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// Its path from the repository's root.
    pub from: String,
    /// Its absolute path in the image.
    pub to: String,
}

/// A small text file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Its absolute path in the image.
    pub path: String,
    /// What it says.
    pub contents: String,
}

/// An empty folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Its absolute path in the image.
    pub path: String,
}

fn yes() -> bool {
    true
}

impl System {
    /// Reads `system/NAME.toml` and what it extends.
    pub fn load(paths: &Paths, name: &str) -> Result<Self> {
        let file = paths.source(&format!("system/{name}.toml"));
        let own = Self::parse(&paths::read_text(&file)?)
            .and_then(|own| own.grants().map(|_| own).map_err(|error| error.to_string()))
            .map_err(|problem| Failure::input(file.display(), problem))?;
        match &own.extends {
            None => Ok(own),
            Some(base) if base == name => Err(Failure::input(file.display(), "it extends itself")),
            Some(base) => Ok(Self::load(paths, base)?.with(own)),
        }
    }

    /// The program from the registry that builds this binary.
    pub fn program_mut(&mut self, binary: &str) -> Result<&mut Program> {
        let mut programs = self.programs.iter_mut();
        let found = programs.find(|program| program.binary == binary);
        found.ok_or_else(|| Failure::Usage(format!("the system has no program `{binary}`")))
    }

    /// What its programs may do and use, as the image says it.
    pub fn grants(&self) -> Result<GrantTable> {
        let mut table = GrantTable::default();
        for program in &self.programs {
            let grants = program.limits.grants(program.may_spawn);
            let names = program.names.iter().chain([&program.binary]);
            names
                .into_iter()
                .try_for_each(|name| list(&mut table, name, grants.clone()))?;
        }
        for program in &self.own_programs {
            let grants = Grants {
                may_control: program.may_control,
                may_call: program.may_call.iter().cloned().collect(),
                ..program.limits.grants(program.may_spawn)
            };
            let names = program.names.iter().chain([&program.binary]);
            names
                .into_iter()
                .try_for_each(|name| list(&mut table, name, grants.clone()))?;
        }
        Ok(table)
    }

    /// The package at the top of its kernel.
    pub fn kernel(&self) -> &str {
        self.kernel.as_deref().unwrap_or(PRODUCT_KERNEL)
    }

    /// The manifest of its services as one text, if it has any.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn manifest(&self) -> Result<Option<String>> {
        if self.services.is_empty() {
            return Ok(None);
        }
        let wrong = |problem: String| Failure::input("the services of an image", problem);
        let table = BTreeMap::from([("service", &self.services)]);
        let text = toml::to_string(&table).map_err(|error| wrong(error.to_string()))?;
        let manifest = Manifest::parse(&text).map_err(|error| wrong(error.to_string()))?;
        let checked = manifest.check_programs(|name| self.has_program(name));
        checked.map_err(|error| wrong(error.to_string()))?;
        Ok(Some(text))
    }

    fn has_program(&self, name: &str) -> bool {
        let is_called = |program: &Program| {
            program.binary == name || program.names.iter().any(|other| other == name)
        };
        let is_own = |program: &OwnProgram| {
            program.binary == name || program.names.iter().any(|other| other == name)
        };
        let mut in_c = self.c_programs.iter();
        self.programs.iter().any(is_called)
            || self.own_programs.iter().any(is_own)
            || in_c.any(|program| program.binary == name)
    }

    /// Adds services; one of a name that is there already takes its place.
    fn add_services(&mut self, services: Vec<toml::Table>) {
        for service in services {
            let is_same = |other: &toml::Table| other.get("name") == service.get("name");
            match self.services.iter().position(is_same) {
                Some(place) if service.contains_key("name") => self.services[place] = service,
                _ => self.services.push(service),
            }
        }
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Adds another's content; its kernel and its command line take these ones' places where it has them.
    fn with(mut self, other: Self) -> Self {
        self.kernel = other.kernel.or(self.kernel);
        self.programs.extend(other.programs);
        self.own_programs.extend(other.own_programs);
        self.c_programs.extend(other.c_programs);
        self.copy.extend(other.copy);
        self.text.extend(other.text);
        self.directory.extend(other.directory);
        self.add_services(other.services);
        if !other.command_line.is_empty() {
            self.command_line = other.command_line;
        }
        self
    }
}

/// Lists the program, if anything is said about it.
fn list(table: &mut GrantTable, name: &str, grants: Grants) -> Result<()> {
    if grants == Grants::default() {
        return Ok(());
    }
    let listed = table.push(name, grants);
    listed.map_err(|problem| Failure::input(format_args!("program `{name}`"), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error() {
        let problem =
            System::parse("[[program]]\npackage='a'\nversion='1'\nbinary='a'\ncolour='red'\n")
                .unwrap_err();
        assert!(problem.contains("colour"), "{problem}");
    }

    fn limited(limits: &str) -> std::result::Result<System, String> {
        System::parse(&format!(
            "[[own-program]]\npath='a'\nbinary='a'\nlimits={limits}\n"
        ))
    }

    #[test]
    fn limits_and_grants_of_programs_are_listed() {
        let system = System::parse(
            "[[program]]\npackage='a'\nversion='1'\nbinary='a'\nnames=['b']\nlimits={memory='64M',cpu-percent=50}\n\
             [[own-program]]\npath='sh'\nbinary='sh'\nmay-spawn=true\n\
             [[own-program]]\npath='svc'\nbinary='svc'\nnames=['caps']\nmay-control=true\n\
             [[own-program]]\npath='c'\nbinary='c'\n",
        );
        let table = system.unwrap().grants().unwrap();
        assert_eq!(
            table.to_string(),
            "a memory=67108864 cpu-percent=50\nb memory=67108864 cpu-percent=50\ncaps may-control\nsh may-spawn\nsvc may-control\n"
        );
    }

    #[test]
    fn wrong_limits_are_refused_with_their_key() {
        for (limits, key) in [
            ("{colour=1}", "colour"),
            ("{memory=64}", "memory"),
            ("{memory='64X'}", "memory"),
            ("{output='-1'}", "output"),
            ("{output='99999999999G'}", "output"),
            ("{handles=-1}", "handles"),
            ("{cpu-percent='all'}", "cpu-percent"),
        ] {
            let problem = limited(limits).unwrap_err();
            assert!(problem.contains(key), "{limits}: {problem}");
        }
        for (limits, key) in [
            ("{cpu-percent=0}", "cpu-percent"),
            ("{processes=0}", "processes"),
        ] {
            let problem = limited(limits).unwrap().grants().unwrap_err().to_string();
            assert!(
                problem.contains(key) && problem.contains("`a`"),
                "{problem}"
            );
        }
    }

    #[test]
    fn services_are_judged_and_replaced_by_name() {
        let text = "[[own-program]]\npath='x'\nbinary='p'\n[[service]]\nname='a'\nprogram='p'\n";
        let base = System::parse(text).unwrap();
        assert!(base.manifest().unwrap().unwrap().contains("[[service]]"));
        let wrong = System::parse("[[service]]\nname='a'\nprogram='q'\nready='started'\n").unwrap();
        let whole = base.with(wrong);
        assert_eq!(whole.services.len(), 1);
        let problem = whole.manifest().unwrap_err().to_string();
        assert!(
            problem.contains("'a'") && problem.contains("'q'"),
            "{problem}"
        );
        assert_eq!(System::parse("").unwrap().manifest().unwrap(), None);
    }

    #[test]
    fn an_extension_adds_and_replaces_the_command_line() {
        let base = System::parse("command-line='log=info'\n[[directory]]\npath='/tmp'\n").unwrap();
        let extension =
            System::parse("extends='base'\ncommand-line='log=debug'\n[[directory]]\npath='/x'\n")
                .unwrap();
        let whole = base.with(extension);
        assert_eq!(whole.command_line, "log=debug");
        assert_eq!(whole.directory.len(), 2);
    }
}
