//! The terminal on the screen: keys are pressed on the machine's own keyboard, and what is seen is compared with golden
//! pictures, pixel by pixel, and with what the serial line says.
//!
//! Law: a picture is looked at again until it is as it should be, or for long enough; what never becomes so is
//! written beside the log with its difference. Nothing that changes from run to run (times, addresses) is on the
//! screen when it is compared. `KPIO_BLESS=1` writes the golden pictures anew, from a screen that has come to rest;
//! look at them before they are committed.

use std::path::{Path, PathBuf};
use std::thread;

use serde_json::json;

use super::pictures::{BETWEEN_LOOKS, LOOKS, rest};
use super::report::unmet;
use super::{Report, console, keys};
use crate::build;
use crate::failure::Result;
use crate::image::Parts;
use crate::paths::{self, Paths, Variant};
use crate::qemu::accelerator::{self, Accelerator};
use crate::qemu::{Guest, Machine, Screen};
use crate::run::NEEDS;
use crate::setup::ensure_packages;

/// Where the golden pictures lie, from the repository's root.
const GOLDEN: &str = "test/golden/screen";
/// Key events that are sent at once, and how many times.
const STORM_BURST: usize = 40;
const STORM_BURSTS: usize = 25;

/// Runs all cases.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    ensure_packages(&NEEDS)?;
    build::build_all_of(paths, Variant::Checks)?;
    let stage = Stage {
        accelerator: accelerator::choose(paths)?,
        golden: paths.source(GOLDEN),
        is_blessing: std::env::var_os("KPIO_BLESS").is_some(),
    };
    let parts = Parts::collect(paths, "screen", Variant::Checks)?;
    let image = |name: &str, words: &str| {
        let mut parts = parts.clone();
        parts.command_line = format!("{} {words}", parts.command_line.trim_end());
        let path = paths.out().join(format!("screen-{name}.img"));
        parts.write_disk(&path).map(|()| path)
    };
    let usual = image("usual", "")?;
    let small = image("small", "screen=640x480 keyboard=de")?;
    for (name, image, act) in [
        ("one-prompt", &usual, one_prompt as Act),
        ("german-keys-at-640x480", &small, german_keys),
        ("defect-a-lost-accent-is-seen", &usual, lost_accent),
    ] {
        let log = report.log_file(name);
        report.test(name, || stage.play(image, true, &log, act));
    }
    let log = report.log_file("without-keyboard");
    report.test("without-keyboard", || {
        stage.play(&usual, false, &log, without_keyboard)
    });
    Ok(())
}

type Act = fn(&mut Scene<'_>) -> Result<()>;

struct Stage {
    accelerator: Accelerator,
    golden: PathBuf,
    is_blessing: bool,
}

/// A guest, and what its screen should look like.
struct Scene<'a> {
    stage: &'a Stage,
    guest: Guest,
    log: &'a Path,
}

impl Stage {
    fn play(&self, image: &Path, has_keyboard: bool, log: &Path, act: Act) -> Result<()> {
        let machine = Machine {
            keyboard: has_keyboard,
            ..Machine::new(self.accelerator, image.to_path_buf())
        };
        let mut guest = Guest::boot(&machine, log)?;
        console::prompt(&mut guest)?;
        let mut scene = Scene {
            stage: self,
            guest,
            log,
        };
        act(&mut scene)?;
        console::power_off(scene.guest)
    }
}

/// Everything that a person does on the usual screen.
fn one_prompt(scene: &mut Scene<'_>) -> Result<()> {
    scene.expect("a mouse with a wheel")?;
    scene.command("clear")?;
    scene.command("cat /share/letters.txt")?;
    scene.looks_like("letters")?;
    scene.command("clear")?;
    scene.command("cat /share/colours.txt")?;
    scene.looks_like("colours")?;
    scene.command("clear")?;
    scene.command("cat /share/long-line.txt")?;
    scene.looks_like("long-line")?;
    scrolls_back(scene)?;
    edits(scene)?;
    scene.type_keys("yes\n")?;
    scene.guest.expect("y\r\ny\r\ny")?;
    scene.press(&["ctrl", "c"])?;
    console::prompt(&mut scene.guest)?;
    storm(scene)?;
    scene.command("clear")?;
    scene.looks_like("prompt")
}

fn scrolls_back(scene: &mut Scene<'_>) -> Result<()> {
    scene.command("clear")?;
    scene.command("seq 200")?;
    scene.looks_like("newest")?;
    scene.press(&["shift", "pgup"])?;
    scene.press(&["shift", "pgup"])?;
    scene.looks_like("half-screens-back")?;
    scene.press(&["shift", "pgdn"])?;
    scene.press(&["shift", "pgdn"])?;
    scene.looks_like("newest")?;
    scene.wheel("wheel-up")?;
    scene.looks_like("wheel-back")?;
    // Typing looks at what is typed.
    scene.type_keys("x")?;
    scene.guest.expect("x")?;
    scene.press(&["backspace"])?;
    scene.looks_like("newest")
}

/// Keys that the line editor knows.
fn edits(scene: &mut Scene<'_>) -> Result<()> {
    scene.type_keys("cho ac")?;
    scene.press(&["left"])?;
    scene.type_keys("b")?;
    scene.press(&["home"])?;
    scene.type_keys("e")?;
    scene.press(&["end"])?;
    scene.type_keys("xd")?;
    scene.press(&["left"])?;
    scene.press(&["left"])?;
    scene.press(&["delete"])?;
    scene.type_keys("\n")?;
    scene.guest.expect("\r\nabcd\r\n")?;
    console::prompt(&mut scene.guest).map(drop)
}

/// More events than anybody can type; afterwards the keyboard is as good as before.
fn storm(scene: &mut Scene<'_>) -> Result<()> {
    let names = ["shift", "a", "ctrl", "up", "f5", "alt", "e", "pgdn"];
    for burst in 0..STORM_BURSTS {
        let events: Vec<_> = (0..STORM_BURST)
            .map(|number| {
                let name = names[(burst * 7 + number / 2) % names.len()];
                key_event(name, number % 2 == 0)
            })
            .collect();
        let qmp = scene.guest.qmp();
        qmp.execute("input-send-event", json!({ "events": events }))?;
    }
    for name in names {
        let events = [key_event(name, true), key_event(name, false)];
        let qmp = scene.guest.qmp();
        qmp.execute("input-send-event", json!({ "events": events }))?;
        thread::sleep(BETWEEN_LOOKS);
    }
    scene.press(&["ctrl", "c"])?;
    scene.type_keys("echo aftermath\n")?;
    scene.guest.expect("\r\naftermath\r\n")?;
    console::prompt(&mut scene.guest).map(drop)
}

/// A layout from the command line, a small screen, and the layout changed at the prompt.
fn german_keys(scene: &mut Scene<'_>) -> Result<()> {
    let screen = scene.guest.screen()?;
    if (screen.width_px, screen.height_px) != (640, 480) {
        return Err(unmet("the screen is not of the size that was asked for"));
    }
    scene.command("clear")?;
    scene.type_keys("echo yz;'[-\n")?;
    scene.guest.expect("\r\nzyöäüß\r\n")?;
    console::prompt(&mut scene.guest)?;
    // AltGr and Q, and E.
    scene.type_keys("echo ")?;
    scene.press(&["alt_r", "q"])?;
    scene.press(&["alt_r", "e"])?;
    scene.type_keys("\n")?;
    scene.guest.expect("\r\n@€\r\n")?;
    console::prompt(&mut scene.guest)?;
    scene.looks_like("german")?;
    scene.command("kezboard us")?;
    scene.type_keys("echo yz\n")?;
    scene.guest.expect("\r\nyz\r\n")?;
    console::prompt(&mut scene.guest).map(drop)
}

/// The planted defect: other letters must not pass for those of the golden picture.
fn lost_accent(scene: &mut Scene<'_>) -> Result<()> {
    if scene.stage.is_blessing {
        return Ok(());
    }
    scene.command("clear")?;
    scene.command("cat /share/letters.txt")?;
    scene.looks_like("letters")?;
    scene.command("clear")?;
    scene.command("cat /share/fewer-accents.txt")?;
    match scene.differs_from("letters")? {
        0 => Err(unmet("a letter without its accent passed")),
        _ => Ok(()),
    }
}

/// No controller: the screen shows what the serial line says, and the kernel knows why no keys come.
fn without_keyboard(scene: &mut Scene<'_>) -> Result<()> {
    scene.expect("firmware says that there is no controller")?;
    scene.guest.send("clear\r")?;
    console::prompt(&mut scene.guest)?;
    if scene.stage.is_blessing {
        return Ok(());
    }
    scene.looks_like("prompt")
}

impl Scene<'_> {
    /// The log has a line with this text.
    fn expect(&self, text: &str) -> Result<()> {
        let line = self.guest.line_with(&[text]);
        line.map(drop)
            .ok_or_else(|| unmet(format!("the log does not say {text:?}")))
    }

    /// Types a command on the keyboard and waits for the next prompt on the serial line.
    fn command(&mut self, line: &str) -> Result<()> {
        self.type_keys(line)?;
        self.press(&["ret"])?;
        // The line that is edited begins with the prompt as well.
        console::prompt(&mut self.guest).map(drop)
    }

    fn type_keys(&mut self, text: &str) -> Result<()> {
        keys::type_text(&mut self.guest, text)
    }

    fn press(&mut self, keys: &[&str]) -> Result<()> {
        keys::press(&mut self.guest, keys)
    }

    fn wheel(&mut self, button: &str) -> Result<()> {
        let event = |down| json!({ "type": "btn", "data": { "down": down, "button": button } });
        let qmp = self.guest.qmp();
        qmp.execute(
            "input-send-event",
            json!({ "events": [event(true), event(false)] }),
        )
        .map(drop)
    }

    /// The screen becomes what the golden picture shows.
    fn looks_like(&mut self, name: &str) -> Result<()> {
        if self.stage.is_blessing {
            return self.bless(name);
        }
        let golden = self.golden(name)?;
        let mut screen = self.guest.screen()?;
        for _ in 0..LOOKS {
            if screen == golden {
                return Ok(());
            }
            thread::sleep(BETWEEN_LOOKS);
            screen = self.guest.screen()?;
        }
        let seen = self.log.with_extension(format!("{name}.png"));
        let difference = self.log.with_extension(format!("{name}-difference.png"));
        seen_as_png(&screen, &seen)?;
        seen_as_png(&screen.difference(&golden), &difference)?;
        Err(unmet(format!(
            "the screen is not as in {}: see {} and {}",
            self.golden_path(name).display(),
            seen.display(),
            difference.display()
        )))
    }

    /// How many pixels of the screen, once it rests, are not as in the golden picture.
    fn differs_from(&mut self, name: &str) -> Result<usize> {
        let (golden, screen) = (self.golden(name)?, rest(&mut self.guest)?);
        Ok(screen
            .pixels
            .iter()
            .zip(&golden.pixels)
            .filter(|(a, b)| a != b)
            .count())
    }

    fn bless(&mut self, name: &str) -> Result<()> {
        let screen = rest(&mut self.guest)?;
        seen_as_png(&screen, &self.golden_path(name))
    }

    fn golden_path(&self, name: &str) -> PathBuf {
        self.stage.golden.join(format!("{name}.png"))
    }

    fn golden(&self, name: &str) -> Result<Screen> {
        let path = self.golden_path(name);
        Screen::from_png(&paths::read(&path)?)
    }
}

fn seen_as_png(screen: &Screen, path: &Path) -> Result<()> {
    paths::make_folder(path.parent().unwrap_or(path))?;
    paths::write(path, &screen.to_png()?)
}

fn key_event(name: &str, down: bool) -> serde_json::Value {
    let key = json!({ "type": "qcode", "data": name });
    json!({ "type": "key", "data": { "down": down, "key": key } })
}
