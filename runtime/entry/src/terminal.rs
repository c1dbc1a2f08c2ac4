//! The prompt on the machine's terminal line, beside the services.

use std::sync::Arc;

use kernel_core::console::Line;
use kernel_core::thread::{self, Class};
use kernel_core::{fault, log as kernel_log, power};
use runtime_host::{TerminalDevice, TerminalSize};
use runtime_prompt::{Parting, Prompt, TerminalOutput};

use crate::Options;
use crate::lines::{self, LineOutput};
use crate::services::{Control, SystemServices};
use crate::system::{PromptSystem, RunningSystem};

/// The program that a person meets first.
const SHELL: &str = "sh";

/// Serves the person until the machine is switched off, with the shell first where that is wanted.
pub fn serve(system: RunningSystem, options: &Options) -> ! {
    thread::set_class(Class::Interactive);
    let budget = system.budget().clone();
    let input = lines::input(Line::Terminal, &budget)
        .unwrap_or_else(|error| fault::stop(&error.to_string()));
    let output = TerminalOutput::new(Arc::new(LineOutput(Line::Terminal)));
    // From here on the terminal is the person's; the rest of the log is read by `dmesg`.
    kernel_log::quiet_terminal();
    let terminal = TerminalDevice::new(TerminalSize::USUAL);
    let services = Arc::new(SystemServices::start(&system, &options.services));
    let control = Control(Arc::clone(&services));
    system.supervisor().set_control(Arc::new(control));
    let prompt_system = PromptSystem::new(
        system,
        output.clone(),
        terminal.clone(),
        Arc::clone(&services),
    );
    let mut prompt = Prompt::new(prompt_system, Arc::new(input), output, budget, terminal);
    if options.shell {
        prompt.run_first(SHELL);
    }
    let parting = prompt.run();
    services.shut_down();
    match parting {
        Parting::PowerOff => power::power_off(),
        Parting::Reboot => power::reboot(),
        Parting::TerminalGone => fault::stop("the terminal line is gone"),
    }
}
