//! PS/2 keyboard and mouse behind the i8042.
//!
//! Law: the interrupts' top halves move bytes from the controller to a queue and wake one thread, which does
//! everything else: it sets the controller up, makes of scan codes what a terminal sends, and types that at the
//! kernel's terminal ([`kernel_core::console::type_in`]). The wheel and Shift with PgUp and PgDn move the view of the screen;
//! where somebody has taken that over they are typed for him, as xterm sends them. What else the mouse does
//! waits in a queue of its own ([`take_event`]) for whoever wants it, the oldest going first.
//!
//! A machine without a controller, or with one that is broken, is a machine with a serial line: it says so in the log
//! and goes on. Bytes that are lost because nobody took them in time cost what is held on the keyboard: it is
//! forgotten, so that no key stays down.
//!
//! Locks: one, of the controller and its queue; taken by top halves and by the thread, never both kinds of work under it.
//! The queue of events has its own, taken alone.
#![no_std]

mod bring_up;
mod keyboard;
mod layout;
mod mouse;
mod ring;

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use kernel_core::thread::{self, Class, SpawnRequest};
use kernel_core::{console, futex, interrupt, platform, screen, time};
use kernel_machine::platform::i8042::{Controller, Device, Received};
use kernel_machine::sync::IrqLock;

use crate::bring_up::{Wire, bring_up, enable_interrupts};
use crate::keyboard::{Keyboard, Pressed};
use crate::mouse::Packets;
use crate::ring::Ring;

pub use crate::layout::Layout;
pub use crate::mouse::MouseEvent;

/// Bytes between top halves and thread: some dozens of keys.
const RECEIVED_MAX: usize = 256;
/// Bytes that one interrupt takes at most: a controller that never runs dry must not hold us.
const TAKEN_PER_INTERRUPT_MAX: usize = 32;
const EVENTS_MAX: usize = 64;
const STACK_BYTES: usize = 32 * 1024;
const PAUSE_NS: u64 = 1_000_000;
/// Lines that the view moves by one step of the wheel.
const LINES_PER_WHEEL_STEP: i32 = 3;
/// What xterm sends for Shift with PgUp, Shift with PgDn, and a step of the wheel either way (its mode 1006).
const PAGE_BACK: &[u8] = b"\x1b[5;2~";
const PAGE_FORWARD: &[u8] = b"\x1b[6;2~";
const WHEEL_BACK: &[u8] = b"\x1b[<64;1;1M";
const WHEEL_FORWARD: &[u8] = b"\x1b[<65;1;1M";

struct State {
    controller: Option<Controller>,
    received: Ring<Received, RECEIVED_MAX>,
    /// Bytes were lost since the thread looked.
    has_lost: bool,
}

static STATE: IrqLock<State> = IrqLock::named(
    "keyboard controller",
    State {
        controller: None,
        received: Ring::new(),
        has_lost: false,
    },
);
/// Changes when bytes have arrived.
static ARRIVED: AtomicU32 = AtomicU32::new(0);
static LAYOUT: AtomicU8 = AtomicU8::new(Layout::Us as u8);
static EVENTS: IrqLock<Ring<MouseEvent, EVENTS_MAX>> = IrqLock::named("mouse events", Ring::new());

/// Starts looking for keyboard and mouse, and serving them.
pub fn start() {
    if !platform::platform().may_have_i8042 {
        return log::info!("keyboard: firmware says that there is no controller");
    }
    let serving = thread::spawn(SpawnRequest {
        entry: serve,
        argument: 0,
        stack_len_bytes: STACK_BYTES,
        name: "keyboard",
    });
    match serving.map(thread::detach) {
        Ok(_detached) => {}
        Err(error) => log::warn!("keyboard: no thread can serve it: {error}"),
    }
}

/// The layout of the keyboard.
pub fn layout() -> Layout {
    let number = LAYOUT.load(Ordering::Relaxed);
    let found = Layout::ALL
        .into_iter()
        .find(|layout| *layout as u8 == number);
    found.unwrap_or(Layout::Us)
}

/// Chooses the layout of the keyboard, from the next key on.
pub fn set_layout(layout: Layout) {
    LAYOUT.store(layout as u8, Ordering::Relaxed);
}

/// The oldest thing that the mouse did and nobody has taken.
pub fn take_event() -> Option<MouseEvent> {
    EVENTS.lock().pop()
}

extern "C" fn serve(_argument: usize) {
    let Some(controller) = Controller::probe() else {
        return log::info!("keyboard: there is no controller");
    };
    STATE.lock().controller = Some(controller);
    let found = match bring_up(&mut Hardware) {
        Ok(found) => found,
        Err(error) => return log::warn!("keyboard: {error}"),
    };
    for device in [Device::Keyboard, Device::Mouse] {
        if !interrupt::register_isa(device.isa_irq(), handle_interrupt) {
            log::warn!("keyboard: {device:?} has no interrupt line");
        }
    }
    if let Err(error) = enable_interrupts(&mut Hardware, found) {
        return log::warn!("keyboard: {error}");
    }
    // What arrived before is not announced any more.
    handle_interrupt();
    let mouse = match found.mouse {
        Some(mouse) if mouse.has_wheel => "a mouse with a wheel",
        Some(_) => "a mouse",
        None => "no mouse",
    };
    let keyboard = if found.has_keyboard {
        "there"
    } else {
        "silent"
    };
    log::info!("keyboard: {keyboard}, layout {}, {mouse}", layout().name());
    Server::new(found.mouse.is_some_and(|mouse| mouse.has_wheel)).run()
}

/// The top half of both interrupts.
fn handle_interrupt() {
    {
        let mut state = STATE.lock();
        let State {
            controller,
            received,
            has_lost,
        } = &mut *state;
        let Some(controller) = controller else {
            return;
        };
        for _ in 0..TAKEN_PER_INTERRUPT_MAX {
            let Some(byte) = controller.take() else {
                break;
            };
            *has_lost |= !received.push(byte);
        }
    }
    ARRIVED.fetch_add(1, Ordering::AcqRel);
    futex::wake(&ARRIVED, 1, u32::MAX);
}

/// The controller as it is set up: each access takes the lock for itself.
struct Hardware;

impl Hardware {
    fn with<T>(&self, act: impl FnOnce(&mut Controller) -> T) -> Option<T> {
        STATE.lock().controller.as_mut().map(act)
    }
}

impl Wire for Hardware {
    fn take(&mut self) -> Option<Received> {
        self.with(Controller::take).flatten()
    }
    fn try_command(&mut self, command: u8) -> bool {
        self.with(|controller| controller.try_command(command)) == Some(true)
    }
    fn try_data(&mut self, byte: u8) -> bool {
        self.with(|controller| controller.try_data(byte)) == Some(true)
    }
    fn now_ns(&mut self) -> u64 {
        time::monotonic_ns()
    }
    fn pause(&mut self) {
        thread::sleep_until(time::monotonic_ns() + PAUSE_NS);
    }
}

/// What the thread knows of the devices.
struct Server {
    keyboard: Keyboard,
    layout: Layout,
    packets: Packets,
    mouse: MouseEvent,
}

impl Server {
    fn new(has_wheel: bool) -> Self {
        let layout = layout();
        Self {
            keyboard: Keyboard::new(layout),
            layout,
            packets: Packets::new(has_wheel),
            mouse: MouseEvent::default(),
        }
    }

    fn run(&mut self) {
        thread::set_class(Class::Interactive);
        loop {
            let seen = ARRIVED.load(Ordering::Acquire);
            let (received, has_lost) = {
                let mut state = STATE.lock();
                (state.received.pop(), core::mem::take(&mut state.has_lost))
            };
            if has_lost || self.layout != layout() {
                self.forget();
            }
            match received {
                Some(received) => self.take(received),
                None => drop(futex::wait(&ARRIVED, seen, None, u32::MAX)),
            }
        }
    }

    fn forget(&mut self) {
        self.layout = layout();
        self.keyboard = Keyboard::new(self.layout);
        self.packets.reset();
    }

    fn take(&mut self, received: Received) {
        match received.device {
            _ if received.is_damaged => self.forget(),
            Device::Keyboard => self.key(received.byte),
            Device::Mouse => self.move_mouse(received.byte),
        }
    }

    fn key(&mut self, byte: u8) {
        match self.keyboard.feed(byte) {
            Some(Pressed::Bytes(sequence)) => {
                screen::show_newest();
                console::type_in(sequence.as_bytes());
            }
            Some(Pressed::HalfScreens(count)) if screen::is_handed_out() => {
                console::type_in(if count > 0 { PAGE_BACK } else { PAGE_FORWARD });
            }
            Some(Pressed::HalfScreens(count)) => screen::scroll_half_screens(count),
            Some(Pressed::Attention) => console::call_attention(),
            None => {}
        }
    }

    fn move_mouse(&mut self, byte: u8) {
        let Some(movement) = self.packets.feed(byte) else {
            return;
        };
        self.mouse = self.mouse.after(movement, screen::size_px());
        EVENTS.lock().push_over(self.mouse);
        if movement.wheel != 0 {
            turn_wheel(-i32::from(movement.wheel));
        }
    }
}

/// So many steps of the wheel, back or forward where negative.
fn turn_wheel(steps: i32) {
    if !screen::is_handed_out() {
        return screen::scroll_lines(steps * LINES_PER_WHEEL_STEP);
    }
    for _ in 0..steps.unsigned_abs() {
        console::type_in(if steps > 0 { WHEEL_BACK } else { WHEEL_FORWARD });
    }
}
