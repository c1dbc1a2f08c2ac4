//! The console's devices over the kernel, and who has them: the service that is the console, or the kernel's prompt while that is
//! stopped or given up.

use std::sync::Arc;
use std::thread;

use kernel_core::console::{self, Line};
use kernel_core::screen;
use lib_service_manifest::Start;
use lib_service_policy::{Command, StateKind};
use lib_terminal::{Cell, Style, cells_of};
use lib_text_screen::{Colours, Rgb};
use runtime_host::{
    Budget, Cancellation, Console, ConsoleParts, ConsoleScreen, Look, wait_for, write_all_blocking,
};
use runtime_services::Services;

use crate::lines::{self, LineError, LineOutput, SerialOutput};
use crate::services::SystemServices;

/// Stacks of the threads that watch, in bytes.
const STACK_BYTES: usize = 64 << 10;

/// The devices of the machine, read by threads of their own from now on.
///
/// # Errors
/// There is no memory or no thread for it.
pub fn devices(budget: &Budget) -> Result<Console, LineError> {
    Ok(Console::new(ConsoleParts {
        keyboard: Arc::new(lines::input(Line::Keyboard, budget)?),
        serial_input: Arc::new(lines::input(Line::Terminal, budget)?),
        serial_output: Arc::new(SerialOutput),
        kernel_output: Arc::new(LineOutput(Line::Terminal)),
        screen: Arc::new(KernelScreen),
    }))
}

struct KernelScreen;

impl ConsoleScreen for KernelScreen {
    fn size(&self) -> Option<(u16, u16)> {
        let (columns, lines) = screen::size_cells();
        let size = (u16::try_from(columns).ok()?, u16::try_from(lines).ok()?);
        (columns > 0 && lines > 0).then_some(size)
    }

    fn draw(&self, line: u16, column: u16, text: &str, look: Look) {
        let style = Style {
            colours: Colours {
                foreground: Rgb::new(look.foreground),
                background: Rgb::new(look.background),
            },
            is_underlined: look.is_underlined,
        };
        let (columns, _) = screen::size_cells();
        let cells: Vec<Cell> = cells_of(text, style).take(columns).collect();
        screen::draw(line.into(), column.into(), &cells);
    }

    fn hand_out(&self) {
        screen::hand_out();
    }

    fn take_back(&self) {
        screen::take_back();
    }
}

/// Waits until the kernel's prompt has the devices: at once, where no service is the console.
pub fn wait_for_kernels_turn(services: &Arc<SystemServices>, devices: &Console) {
    let Some((running, name)) = services.console() else {
        return;
    };
    watcher("attention", services, devices, attend);
    watcher("shown", services, devices, start_when_shown);
    wait_until_up(running, name, false);
    hand_over(running, name, devices);
    watcher("console", services, devices, watch);
}

type Watch = fn(&Services, &str, &Console);

/// Starts a thread that watches as long as the system runs.
fn watcher(name: &str, services: &Arc<SystemServices>, devices: &Console, watch: Watch) {
    let (services, devices) = (Arc::clone(services), devices.clone());
    let thread = thread::Builder::new().name(name.to_owned());
    let serve = move || {
        if let Some((running, name)) = services.console() {
            watch(running, name, &devices);
        }
    };
    if let Err(error) = thread.stack_size(STACK_BYTES).spawn(serve) {
        log::error!("nobody watches the console: no thread: {error}");
    }
}

/// Ends the console whenever a person calls for attention.
fn attend(services: &Services, name: &str, _devices: &Console) {
    let mut seen = 0;
    loop {
        seen = console::wait_for_attention(seen);
        // Refused where it does not run, which is what was wanted.
        let _killed = services.command(name, Command::Kill);
    }
}

/// Starts who is on a terminal when that is first seen.
fn start_when_shown(services: &Services, _name: &str, devices: &Console) {
    let mut known = 0;
    loop {
        let seen = devices.wait_for_seen(known);
        let is_new = |number: u8| (seen & !known) >> (number - 1) & 1 == 1;
        for row in services.list() {
            let waits = row.service.start == Start::WhenShown;
            if waits && row.service.terminal.is_some_and(is_new) {
                // Refused only where it is no more.
                let _started = services.command(&row.service.name, Command::Start);
            }
        }
        known = seen;
    }
}

/// Takes the devices from the kernel's prompt when the console is started again, and gives them back when it is not.
fn watch(services: &Services, name: &str, devices: &Console) {
    loop {
        wait_until_up(services, name, true);
        devices.give_to_kernel(false);
        wait_until_up(services, name, false);
        hand_over(services, name, devices);
    }
}

fn hand_over(services: &Services, name: &str, devices: &Console) {
    devices.give_to_kernel(true);
    let what = match state(services, name) {
        Some(StateKind::Failed) => "has failed",
        Some(_) => "was stopped",
        None => "is in the manifest no more",
    };
    let sentence = format!(
        "\r\nThe console {what}, so this is the prompt of the kernel; 'svc start {name}' brings the console back.\r\n"
    );
    // Never raised: the kernel's prompt shows this as soon as it can.
    let never = Cancellation::new();
    let _said = write_all_blocking(&devices.kernel_output(), sentence.as_bytes(), &never);
}

fn state(services: &Services, name: &str) -> Option<StateKind> {
    let rows = services.list();
    let row = rows.into_iter().find(|row| row.status.name == name)?;
    Some(row.status.state)
}

/// Waits until the service is to run, or is not.
fn wait_until_up(services: &Services, name: &str, is_up: bool) {
    let attempt = || {
        let state = state(services, name);
        let is_down = matches!(state, None | Some(StateKind::Stopped | StateKind::Failed));
        (is_up != is_down).then_some(())
    };
    // Never raised: this goes on as long as the system.
    let never = Cancellation::new();
    let _up = wait_for(&never, |notifier| services.subscribe(notifier), attempt);
}
