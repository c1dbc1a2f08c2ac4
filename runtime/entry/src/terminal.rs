//! The prompt on the machine's terminal, beside the services: at once, or when none of them is the console any more.

use std::sync::Arc;

use kernel_core::thread::{self, Class};
use kernel_core::{fault, log as kernel_log, power};
use runtime_host::{TerminalDevice, TerminalSize};
use runtime_prompt::{Parting, Prompt, TerminalOutput};

use crate::Options;
use crate::console;
use crate::services::{Control, SystemServices};
use crate::system::{PromptSystem, RunningSystem};

/// The program that a person meets first.
const SHELL: &str = "sh";

/// Serves the person until the machine is switched off, with the shell first where that is wanted.
pub fn serve(system: RunningSystem, options: &Options) -> ! {
    thread::set_class(Class::Interactive);
    let budget = system.budget().clone();
    let devices = console::devices(&budget).unwrap_or_else(|error| fault::stop(&error.to_string()));
    let output = TerminalOutput::new(Arc::new(devices.kernel_output()));
    // From here on the terminal is the person's; the rest of the log is read by `dmesg`.
    kernel_log::quiet_terminal();
    let terminal = TerminalDevice::new(TerminalSize::USUAL);
    let services = Arc::new(SystemServices::start(&system, &options.services, &devices));
    let control = Control(Arc::clone(&services));
    system.supervisor().set_control(Arc::new(control));
    let prompt_system = PromptSystem::new(
        system,
        output.clone(),
        terminal.clone(),
        Arc::clone(&services),
    );
    let input = Arc::new(devices.kernel_input());
    let mut prompt = Prompt::new(prompt_system, input, output, budget, terminal);
    console::wait_for_kernels_turn(&services, &devices);
    if options.shell && services.console().is_none() {
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
