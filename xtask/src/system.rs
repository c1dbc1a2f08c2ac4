//! The image as data: `system/*.toml`.
//!
//! Law: what is in an image is read in one file, without reading code. Unknown keys are errors.

use std::collections::BTreeMap;

use lib_service_manifest::Manifest;
use serde::Deserialize;

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
    /// Programs of `userland/`.
    #[serde(default, rename = "own-program")]
    pub own_programs: Vec<OwnProgram>,
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

/// A program of `userland/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnProgram {
    /// The package's folder, from the repository's root.
    pub path: String,
    /// The binary it builds, without ending: `/bin/BINARY.wasm`.
    pub binary: String,
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
            .map_err(|problem| Failure::input(file.display(), problem))?;
        match &own.extends {
            None => Ok(own),
            Some(base) if base == name => Err(Failure::input(file.display(), "it extends itself")),
            Some(base) => Ok(Self::load(paths, base)?.with(own)),
        }
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
        let is_own = |program: &OwnProgram| program.binary == name;
        self.programs.iter().any(is_called) || self.own_programs.iter().any(is_own)
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
