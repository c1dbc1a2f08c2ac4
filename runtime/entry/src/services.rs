//! The services of the image, over the supervisor.
//!
//! Law: nothing about services keeps the prompt away. A manifest that is wrong, or for which there is no memory, is a
//! sentence that the prompt shows, and then none of them runs. The words `rescue` (none is started) and `without=NAME,NAME`
//! (these are not) on the command line are for the person who repairs a system; by `prompt` neither the console is started nor who is
//! on a terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use kernel_core::{power, time};
use lib_service_manifest::{CONSOLE, Manifest, Service};
use runtime_host::tmpfs::{Follow, NodeId};
use runtime_host::{Awaited, Console, FileTree, Notices};
use runtime_services::{
    LinkBindings, Said, Services, ServicesOptions, SupervisorLauncher, Surroundings,
    capability_row, host_interfaces,
};
use runtime_supervisor::{
    Devices, Process, ProcessId, ProgramFinder, Rights, Supervisor, SystemControl,
};

use crate::clocks::KernelClocks;
use crate::system::RunningSystem;
use crate::whole_log::WholeLog;

/// What the command line says of services.
#[derive(Clone, Debug, Default)]
pub struct ServiceWords {
    /// None is to be started.
    is_rescue: bool,
    /// These are not to be started, by name.
    left_out: Vec<String>,
    /// The kernel's own prompt is wanted in the console's place.
    is_prompt: bool,
}

impl ServiceWords {
    /// Reads a command line.
    pub fn parse(command_line: &str) -> Self {
        let mut words = command_line.split(' ');
        let names = words
            .clone()
            .filter_map(|word| word.strip_prefix("without="));
        Self {
            left_out: names
                .flat_map(|names| names.split(','))
                .map(str::to_owned)
                .collect(),
            is_prompt: words.clone().any(|word| word == "prompt"),
            is_rescue: words.any(|word| word == "rescue"),
        }
    }

    /// The services of the manifest that are not to be started.
    fn left_out(&self, manifest: &Manifest) -> Vec<String> {
        let is_on_console = |s: &&Service| s.terminal.is_some() || s.is_granted(CONSOLE);
        let on_console = manifest.services().iter().filter(is_on_console);
        let on_console = on_console.filter(|_| self.is_prompt);
        let names = on_console.map(|service| service.name.clone());
        names.chain(self.left_out.iter().cloned()).collect()
    }
}

/// The services, or why there are none.
pub struct SystemServices {
    services: Result<Services, String>,
    /// Whether it was told why there are none.
    trouble: Mutex<Option<String>>,
    /// What became of them, for a person.
    notices: Notices,
    /// The name of the one that is the console, if that was started.
    console: Option<String>,
    /// Whether a program has asked for the machine's end.
    is_switched_off: AtomicBool,
    around: Around,
}

impl SystemServices {
    /// Starts the services of the image. The one that is the console gets the devices.
    pub fn start(system: &RunningSystem, words: &ServiceWords, devices: &Console) -> Self {
        let around = Around {
            supervisor: system.supervisor().clone(),
            programs: system.programs(),
            root: system.root().clone(),
        };
        let mut console = None;
        let (services, trouble) = match manifest(system, words) {
            Ok(manifest) => {
                let left_out = words.left_out(&manifest);
                let name = manifest.console().map(|service| service.name.clone());
                console = name.filter(|name| !left_out.contains(name));
                devices.give_to_kernel(console.is_none());
                match launch(system, manifest, left_out, devices) {
                    Ok(services) => (Ok(services), None),
                    Err(sentence) => {
                        devices.give_to_kernel(true);
                        (Err(sentence.clone()), Some(sentence))
                    }
                }
            }
            Err(NoManifest::None) => (Err("There are no services.".to_owned()), None),
            Err(NoManifest::Trouble(sentence)) => (Err(sentence.clone()), Some(sentence)),
        };
        if let Some(sentence) = &trouble {
            log::error!("services: {sentence}");
        }
        Self {
            console: console.filter(|_| services.is_ok()),
            services,
            trouble: Mutex::new(trouble),
            notices: devices.notices().clone(),
            is_switched_off: AtomicBool::new(false),
            around,
        }
    }

    /// The services and the name of the one that is the console, if that was started.
    pub fn console(&self) -> Option<(&Services, &str)> {
        Some((self.services.as_ref().ok()?, self.console.as_deref()?))
    }

    /// Answers the words behind `svc`.
    pub fn svc(&self, words: &[String]) -> Result<String, String> {
        self.services
            .as_ref()
            .map_err(String::clone)?
            .svc(words, &self.around)
    }

    /// Says what a service or a process can reach.
    pub fn capabilities(&self, words: &[String]) -> Result<String, String> {
        let [what] = words else {
            return Err("Say of whom: caps NAME|ID".to_owned());
        };
        self.reach_of(what)
    }

    fn reach_of(&self, what: &str) -> Result<String, String> {
        let services = self.services.as_ref().ok();
        if let Some(text) = services.and_then(|services| services.caps(what, &self.around)) {
            return Ok(text);
        }
        let process = what
            .parse()
            .ok()
            .and_then(|id| self.around.supervisor.find(ProcessId(id)));
        let none = || {
            format!(
                "'{}' is neither a service nor a process.",
                what.escape_debug()
            )
        };
        process.as_ref().map(process_capabilities).ok_or_else(none)
    }

    /// What a person should know and was not told yet.
    pub fn news(&self) -> Vec<String> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble
            .take()
            .into_iter()
            .chain(self.notices.take_all())
            .collect()
    }

    /// Stops all services, and waits until they have ended.
    pub fn shut_down(&self) {
        if let Ok(services) = &self.services {
            services.shut_down();
        }
    }
}

/// The services and the machine, for programs that may control them.
pub struct Control(pub Arc<SystemServices>);

impl SystemControl for Control {
    fn command(&self, words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        self.0.svc(&words)
    }

    fn log(&self, service: &str, level: &str, place: u64) -> Result<(String, u64), String> {
        let services = self.0.services.as_ref().map_err(String::clone)?;
        let part = services.log_part(service, level, place)?;
        Ok((part.text.to_string(), part.next))
    }

    fn more_log(&self, service: &str, place: u64) -> Result<Arc<dyn Awaited>, String> {
        let services = self.0.services.as_ref().map_err(String::clone)?;
        services.more_log(service, place)
    }

    fn capabilities(&self, whose: &str) -> Result<String, String> {
        self.0.reach_of(whose)
    }

    fn switch_off(&self, is_reboot: bool) -> Result<(), String> {
        if self.0.is_switched_off.swap(true, Ordering::AcqRel) {
            return Err("The machine is being switched off already.".to_owned());
        }
        let services = Arc::clone(&self.0);
        // Whoever asks may be a service itself, which is to end first.
        let stopping = thread::Builder::new()
            .name("switch-off".to_owned())
            .spawn(move || {
                services.shut_down();
                match is_reboot {
                    true => power::reboot(),
                    false => power::power_off(),
                }
            });
        let started = stopping.map(drop);
        started.map_err(|error| {
            self.0.is_switched_off.store(false, Ordering::Release);
            format!("There is no thread for this: {error}.")
        })
    }
}

/// Why there is no manifest to follow.
enum NoManifest {
    /// The image has none.
    None,
    /// A sentence for the person at the prompt.
    Trouble(String),
}

fn manifest(system: &RunningSystem, words: &ServiceWords) -> Result<Manifest, NoManifest> {
    let text = system.manifest().ok_or(NoManifest::None)?;
    if words.is_rescue {
        let sentence = "No service is started: the command line says 'rescue'.";
        return Err(NoManifest::Trouble(sentence.to_owned()));
    }
    let trouble =
        |problem: String| NoManifest::Trouble(format!("No service is started: {problem}"));
    let text = text.map_err(trouble)?;
    let text =
        std::str::from_utf8(text).map_err(|_| trouble("the manifest is not UTF-8".to_owned()))?;
    Manifest::parse(text).map_err(|error| trouble(error.to_string()))
}

fn launch(
    system: &RunningSystem,
    manifest: Manifest,
    left_out: Vec<String>,
    devices: &Console,
) -> Result<Services, String> {
    if manifest.console().is_some() {
        let made = devices.make_terminals(system.budget());
        made.map_err(|over| format!("No service is started: no memory for terminals: {over}"))?;
    }
    let programs = system.programs();
    let programs = programs.ok_or("No service is started: the image has no programs.")?;
    let said = Said::new(system.budget());
    let said = said.map_err(|over| format!("No service is started: no memory for logs: {over}"))?;
    let launcher = SupervisorLauncher {
        supervisor: system.supervisor().clone(),
        programs,
        root: system.root().clone(),
        bindings: Arc::new(LinkBindings::default()),
        devices: Devices {
            console: Some(devices.clone()),
            clocks: Some(Arc::new(KernelClocks)),
            log: Some(Arc::new(WholeLog::new(&said))),
        },
    };
    let services = Services::start(ServicesOptions {
        manifest,
        left_out,
        launcher: Box::new(launcher),
        said,
        notices: devices.notices().clone(),
        budget: system.budget().clone(),
        now_ns: time::monotonic_ns,
    });
    services.map_err(|error| format!("No service is started: there is no thread for them: {error}"))
}

/// What a process can reach that is no service's.
fn process_capabilities(process: &Process) -> String {
    let reach = process.reach();
    let yes_or_no = |is_so: bool| if is_so { "yes" } else { "no" };
    let folders = reach.folders.iter().map(|(path, rights)| {
        let rights = match rights {
            Rights::ReadOnly => "read",
            Rights::ReadWrite => "read-write",
        };
        capability_row(path, rights)
    });
    let calls = reach
        .calls
        .iter()
        .map(|(interface, service)| capability_row(interface, &format!("through {service}")));
    format!(
        "process {}: {}\n  may start processes: {}\n  may control services: {}\n  has a terminal: {}\n  calls to services:\n{}  folders:\n{}  as every process:\n{}",
        process.id(),
        process.name().escape_debug(),
        yes_or_no(reach.may_spawn),
        yes_or_no(process.may_control()),
        yes_or_no(reach.has_terminal),
        calls.collect::<String>(),
        folders.collect::<String>(),
        host_interfaces()
    )
}

/// The system as services' commands need it.
struct Around {
    supervisor: Supervisor,
    programs: Option<Arc<dyn ProgramFinder>>,
    root: FileTree,
}

impl Surroundings for Around {
    fn is_program(&self, name: &str) -> bool {
        let programs = self.programs.as_ref();
        programs.is_some_and(|programs| programs.find(name).is_some())
    }

    fn text(&self, path: &str) -> Result<String, String> {
        let problem =
            |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.escape_debug());
        let tree = self.root.read();
        let below_root = path.trim_start_matches('/');
        let resolved = tree.resolve(tree.root(), below_root, Follow::Last);
        let file: NodeId = resolved
            .and_then(|resolved| resolved.node())
            .map_err(|error| problem(&error))?;
        // One byte more than a manifest may have, so that a longer one is refused for that.
        let mut bytes = vec![0; lib_service_manifest::TEXT_LEN_BYTES_MAX + 1];
        let count = tree
            .read(file, 0, &mut bytes)
            .map_err(|error| problem(&error))?;
        bytes.truncate(count);
        String::from_utf8(bytes).map_err(|_| problem(&"it is not UTF-8"))
    }

    fn parent(&self, process: u64) -> Option<u64> {
        let mut statuses = self.supervisor.list().into_iter();
        let status = statuses.find(|status| status.id.0 == process)?;
        status.parent.map(|parent| parent.0)
    }
}
