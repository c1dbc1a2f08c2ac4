//! The console as a program: over `kpio:console/devices`, until its standard input ends.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

use std::process::ExitCode;

use console::{Console, Control, Devices, Origin, Refusal, Step};
use lib_terminal::Style;
use wasip2::cli::stdin::get_stdin;
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::poll;
use wasip2::io::streams::StreamError;

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:console/shower",
    generate_all,
    with: { "wasi:io/poll@0.2.12": wasip2::io::poll },
}

use kpio::console::devices;

/// The screen is drawn no more often than this.
const FRAME_NS: u64 = 16_000_000;

fn main() -> ExitCode {
    match devices::open() {
        Ok(opened) => {
            serve(Opened(opened));
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            eprintln!("the console's devices cannot be had: {}", refusal.name());
            ExitCode::FAILURE
        }
    }
}

/// Serves until the console is asked to end.
fn serve(opened: Opened) {
    let news = opened.0.subscribe();
    let stdin = get_stdin();
    let asked = stdin.subscribe();
    let mut console = Console::start(opened);
    let mut next_frame_ns = 0;
    loop {
        console.serve();
        let is_due = monotonic_clock::now() >= next_frame_ns;
        if console.is_to_be_drawn() && is_due {
            console.draw();
            next_frame_ns = monotonic_clock::now() + FRAME_NS;
        }
        let ready = match console.is_to_be_drawn() {
            true => {
                let frame = monotonic_clock::subscribe_instant(next_frame_ns);
                poll(&[&asked, &news, &frame])
            }
            false => poll(&[&asked, &news]),
        };
        if ready.contains(&0) && matches!(stdin.read(64), Err(StreamError::Closed)) {
            return;
        }
    }
}

struct Opened(devices::Console);

fn which(terminal: usize) -> devices::Which {
    use devices::Which;
    match terminal {
        0 => Which::First,
        1 => Which::Second,
        2 => Which::Third,
        _ => Which::Fourth,
    }
}

fn hex(colour: lib_terminal::Rgb) -> u32 {
    u32::from_be_bytes([0, colour.red, colour.green, colour.blue])
}

/// No more of anything is ever dealt with than the devices have given.
fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Devices for Opened {
    fn screen_size(&self) -> Option<(u16, u16)> {
        self.0.screen_size()
    }

    fn draw(&self, line: usize, column: usize, text: &str, look: Style) {
        let (Ok(line), Ok(column)) = (line.try_into(), column.try_into()) else {
            return;
        };
        let look = devices::Look {
            foreground: hex(look.colours.foreground),
            background: hex(look.colours.background),
            is_underlined: look.is_underlined,
        };
        self.0.draw(line, column, text, look);
    }

    fn typed(&self, origin: Origin) -> Vec<u8> {
        self.0.typed(match origin {
            Origin::Keyboard => devices::Origin::Keyboard,
            Origin::Serial => devices::Origin::Serial,
        })
    }

    fn written(&self, terminal: usize) -> Vec<u8> {
        self.0.written(which(terminal))
    }

    fn notice(&self) -> Option<(u64, String)> {
        let notice = self.0.notice()?;
        Some((notice.number, notice.text))
    }

    fn step(&self, terminal: usize, step: Step) -> Result<(), Refusal> {
        let step = devices::Step {
            keyboard: count(step.keyboard),
            serial: count(step.serial),
            output: count(step.output),
            input: step.input,
            control: step.control.map(|control| match control {
                Control::Interrupt => devices::Control::Interrupt,
                Control::Suspend => devices::Control::Suspend,
                Control::EndInput => devices::Control::EndInput,
            }),
            echo: step.echo,
            to_serial: step.to_serial,
            notice: step.notice,
            kept: step.kept,
        };
        let done = self.0.step(which(terminal), &step);
        done.map_err(|refusal| match refusal {
            devices::Refusal::Full => Refusal::Full,
            _ => Refusal::Impossible,
        })
    }

    fn shown(&self, terminal: usize) -> Vec<u8> {
        self.0.shown(which(terminal))
    }

    fn kept(&self, terminal: usize) -> Vec<u8> {
        self.0.kept(which(terminal))
    }

    fn is_raw(&self, terminal: usize) -> bool {
        self.0.get_mode(which(terminal)) == devices::Mode::Raw
    }

    fn show(&self, terminal: usize) {
        self.0.show(which(terminal));
    }

    fn set_size(&self, terminal: usize, columns: u16, rows: u16) {
        self.0.set_size(which(terminal), columns, rows);
    }
}
