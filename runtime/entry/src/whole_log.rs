//! What is said in the whole system: the kernel's log and what services say, as one.
//!
//! Law: lines come in the order of their times, as far as they are there when they are read. The kernel's log wakes one reader
//! ([`kernel_log::wait_for_news`]), which is a thread that tells all others, and then rests for [`PAUSE`], so that a log that grows
//! because it is read does not keep a CPU busy. The thread is started when somebody first waits.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use kernel_core::log::{self as kernel_log, TEXT_BYTES_MAX};
use lib_kernel_log::{Header, HeaderKind};
use lib_log_line::plain;
use log::Level;
use runtime_host::{Awaited, LogCursor, LogLevel, LogSource, Notifier, SaidLine, Subscribers};
use runtime_services::Said;

/// Between two times at which readers are told of the kernel's lines.
const PAUSE: Duration = Duration::from_millis(50);
const STACK_BYTES: usize = 64 << 10;

/// The whole log.
pub struct WholeLog {
    services: Said,
}

impl WholeLog {
    /// The kernel's log, and what services say.
    pub fn new(services: &Said) -> WholeLog {
        WholeLog {
            services: services.clone(),
        }
    }
}

impl LogSource for WholeLog {
    fn cursor(&self) -> Box<dyn LogCursor> {
        Box::new(Cursor {
            kernel: KernelPlace::default(),
            services: self.services.clone(),
            service_place: 0,
        })
    }
}

struct Cursor {
    kernel: KernelPlace,
    services: Said,
    /// The number of the first line of services that was not read.
    service_place: u64,
}

impl LogCursor for Cursor {
    fn read(&mut self, count: usize) -> (Vec<SaidLine>, u64) {
        let mut lines = Vec::new();
        let mut lost = 0;
        while lines.len() < count
            && let Some(line) = self.next(&mut lost)
        {
            lines.push(line);
        }
        (lines, lost)
    }

    fn news(&self) -> Arc<dyn Awaited> {
        Arc::new(News {
            has_line_ahead: self.kernel.ahead.is_some(),
            kernel_position: self.kernel.position,
            services: self.services.clone(),
            service_place: self.service_place,
        })
    }
}

impl Cursor {
    /// The older of the two next lines.
    fn next(&mut self, lost: &mut u64) -> Option<SaidLine> {
        let service = self.services.line(self.service_place);
        let kernel_first = |line: &SaidLine| {
            let service = service.as_ref();
            service.is_none_or(|(_, said)| line.at_ns <= said.at_ns)
        };
        if let Some(line) = self.kernel.next_if(kernel_first, lost) {
            return Some(line);
        }
        let (number, line) = service?;
        *lost += number - self.service_place;
        self.service_place = number + 1;
        Some(line)
    }
}

/// A place in the kernel's log.
#[derive(Default)]
struct KernelPlace {
    position: u64,
    /// The next line, if it was read before it was due.
    ahead: Option<SaidLine>,
}

impl KernelPlace {
    fn next_if(
        &mut self,
        is_due: impl FnOnce(&SaidLine) -> bool,
        lost: &mut u64,
    ) -> Option<SaidLine> {
        if self.ahead.is_none() {
            self.ahead = self.read(lost);
        }
        self.ahead.take_if(|line| is_due(line))
    }

    /// The next record, whole lines and what was printed alike.
    fn read(&mut self, lost: &mut u64) -> Option<SaidLine> {
        let mut text = [0; TEXT_BYTES_MAX];
        let read = kernel_log::read(self.position, &mut text)?;
        // How many lines it were is not known; the first time nobody has missed any.
        *lost += u64::from(read.lost_bytes > 0 && self.position > 0);
        self.position = read.next;
        Some(said(&read.header, &text[..read.len_bytes]))
    }
}

fn said(header: &Header, text: &[u8]) -> SaidLine {
    SaidLine {
        at_ns: header.time_us * 1000,
        level: match header.kind {
            HeaderKind::Line(level) => log_level(level),
            HeaderKind::Raw => LogLevel::Info,
        },
        source: format!("kernel/{}", header.area.name()),
        text: plain(String::from_utf8_lossy(text).trim_end()),
    }
}

fn log_level(level: Level) -> LogLevel {
    match level {
        Level::Error => LogLevel::Error,
        Level::Warn => LogLevel::Warning,
        Level::Info => LogLevel::Info,
        Level::Debug => LogLevel::Debug,
        Level::Trace => LogLevel::Trace,
    }
}

/// Something beyond two places.
struct News {
    has_line_ahead: bool,
    kernel_position: u64,
    services: Said,
    service_place: u64,
}

impl Awaited for News {
    fn is_ready(&self) -> bool {
        self.has_line_ahead
            || kernel_log::end() > self.kernel_position
            || self.services.end() > self.service_place
    }

    fn subscribe(&self, notifier: &Notifier) {
        kernel_readers().add(notifier);
        self.services.subscribe(notifier);
    }
}

/// Those who wait for the kernel's log to grow.
fn kernel_readers() -> &'static Subscribers {
    static READERS: OnceLock<&'static Subscribers> = OnceLock::new();
    READERS.get_or_init(|| {
        let readers: &'static Subscribers = Box::leak(Box::new(Subscribers::new()));
        let teller = thread::Builder::new()
            .name("log".to_owned())
            .stack_size(STACK_BYTES);
        if let Err(error) = teller.spawn(move || tell_for_ever(readers)) {
            log::warn!("no thread tells of the kernel's log, which is read with the services' lines: {error}");
        }
        readers
    })
}

fn tell_for_ever(readers: &Subscribers) {
    let mut end = 0;
    loop {
        kernel_log::wait_for_news(end);
        end = kernel_log::end();
        readers.notify_all();
        thread::sleep(PAUSE);
    }
}
