//! One program for the host, over the second serial line, then power off.
//!
//! Law: the conversation is `contract/host-link`'s. Everything that the program writes is sent as it comes; its
//! exit code is the last frame. Whatever goes wrong ends as a message and a code: there is always a last frame.

use std::fmt;
use std::sync::Arc;
use std::thread;

use contract_boot::BootInfo;
use contract_host_link::VERSION;
use kernel_core::console::{self, Line};
use kernel_core::power;
use lib_bundle::Bundle;
use lib_host_link::{Decoder, Message, Stream};
use runtime_exchange::{Link, TreeSender, image};
use runtime_host::{
    ByteSink, ByteSource, Notifier, PipeReader, PipeWriter, Read, StreamFailure, pipe,
};
use runtime_supervisor::{
    Exit, Files, Grants, Launch, Links, Process, ProgramImage, Rights, WasmBytes,
};

use crate::system::{RunningSystem, tree_budget};
use crate::{Options, tracing};

/// Standard input that the host may send ahead, in bytes.
const CREDIT_BYTES: usize = 64 << 10;
/// Exit code for a program that cannot be run, as shells have it.
const UNUSABLE: i32 = 126;
const RECEIVER_STACK_BYTES: usize = 128 * 1024;

/// Runs the job and switches the machine off.
pub fn run(info: &BootInfo, system: &RunningSystem, options: &Options) -> ! {
    let link = Arc::new(Link::default());
    link.send(&Message::Hello { version: VERSION });
    let code = match run_program(info, system, &link, options) {
        Ok(exit) => report(&link, &exit.0, &exit.1),
        Err(sentence) => {
            link.send_text(&sentence);
            UNUSABLE
        }
    };
    link.send(&Message::Exit { code });
    power::power_off()
}

/// Says what there is to say about the end, and gives its code.
fn report(link: &Link, name: &str, exit: &Exit) -> i32 {
    if let Some(message) = exit.message(name) {
        link.send_text(&message);
    }
    i32::from(exit.exit_code())
}

fn run_program(
    info: &BootInfo,
    system: &RunningSystem,
    link: &Arc<Link>,
    options: &Options,
) -> Result<(String, Exit), String> {
    let bundle = image::open("job", &info.job)?.ok_or("the host sent no job")?;
    let (name, arguments) = arguments(bundle)?;
    let tree = image::tree(Some(bundle), "/tree", tree_budget(system.budget()))?;
    let (reader, writer) =
        pipe(CREDIT_BYTES, system.budget()).map_err(|error| error.to_string())?;
    let stdin = Arc::new(CreditedInput {
        reader,
        link: Arc::clone(link),
    });
    let recording = options.recording.clone().transpose()?;
    recording.map(tracing::start).transpose()?;
    let process = system
        .supervisor()
        .spawn(Launch {
            program: program(bundle, &name)?,
            arguments,
            environment: Vec::new(),
            stdin,
            stdout: Arc::new(link.output(Stream::Stdout)),
            stderr: Arc::new(link.output(Stream::Stderr)),
            terminal: None,
            files: Files::whole(tree.clone(), Rights::ReadWrite),
            limits: system.limits(),
            may_spawn: true,
            links: Links::default(),
            code: options.code,
            call: function(bundle)?,
        })
        .map_err(|error| format!("{name}: {error}"))?;
    start_receiver(process.clone(), writer)?;
    link.send(&Message::StdinCredit {
        len_bytes: CREDIT_BYTES as u32,
    });
    let exit = process.wait();
    if let Some(what) = recording {
        tracing::stop();
        Recording::new(link).send(what);
    }
    if options.job_tree {
        TreeSender::new(link, &tree).send();
    }
    Ok((name, exit))
}

/// The program's name and its arguments, as the host wrote them.
fn arguments(bundle: Bundle<'static>) -> Result<(String, Vec<String>), String> {
    let entry = bundle.get("/arguments").ok_or("the job has no arguments")?;
    let text = std::str::from_utf8(image::contents(entry)?)
        .map_err(|_| "the job's arguments are not UTF-8")?;
    let mut words = text.split_terminator('\0').map(str::to_owned);
    let name = words.next().ok_or("the job does not name its program")?;
    Ok((name, words.collect()))
}

/// The function to call instead of the program's start, if the host named one.
fn function(bundle: Bundle<'static>) -> Result<Option<String>, String> {
    let Some(entry) = bundle.get("/function") else {
        return Ok(None);
    };
    let name = std::str::from_utf8(image::contents(entry)?);
    name.map(|name| Some(name.to_owned()))
        .map_err(|_| "the name of the job's function is not UTF-8".to_owned())
}

fn program(bundle: Bundle<'static>, name: &str) -> Result<ProgramImage, String> {
    let wasm = bundle
        .get("/program.wasm")
        .map(image::contents)
        .transpose()?;
    let precompiled = bundle.get("/program.cwasm");
    let precompiled = precompiled.map(image::claimed_image);
    Ok(ProgramImage {
        name: name.to_owned(),
        wasm: wasm.map(WasmBytes::Static),
        precompiled,
        grants: Grants::WHATEVER_IS_GIVEN,
    })
}

/// The program's standard input: what it has read, the host may send again.
struct CreditedInput {
    reader: PipeReader,
    link: Arc<Link>,
}

impl ByteSource for CreditedInput {
    fn read(&self, buffer: &mut [u8]) -> Result<Read, StreamFailure> {
        let read = self.reader.read(buffer)?;
        if let Read::Bytes(count) = read {
            self.link.send(&Message::StdinCredit {
                len_bytes: count as u32,
            });
        }
        Ok(read)
    }

    fn is_readable(&self) -> bool {
        self.reader.is_readable()
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.reader.subscribe(notifier);
    }
}

/// Receives what the host sends, on a thread of its own.
fn start_receiver(process: Process, writer: PipeWriter) -> Result<(), String> {
    let mut receiver = Receiver {
        process,
        stdin: Some(writer),
    };
    let body = move || {
        let mut decoder = Decoder::new();
        let mut buffer = vec![0; 4096];
        loop {
            let count = console::read(Line::HostLink, &mut buffer, None);
            decoder.feed(&buffer[..count], |message| match message {
                Ok(message) => receiver.take(&message),
                Err(error) => log::warn!("host link: {error}"),
            });
        }
    };
    thread::Builder::new()
        .name("host link".to_owned())
        .stack_size(RECEIVER_STACK_BYTES)
        .spawn(body)
        .map(drop)
        .map_err(|error| format!("no thread can serve the host link: {error}"))
}

struct Receiver {
    process: Process,
    stdin: Option<PipeWriter>,
}

impl Receiver {
    fn take(&mut self, message: &Message<'_>) {
        match message {
            Message::Stdin(bytes) => self.pass_on(bytes),
            Message::StdinEnd => self.stdin = None,
            Message::Kill => self.process.kill(),
            _ => log::warn!("host link: the host sent what only a guest sends"),
        }
    }

    /// The host sends no more than it was granted, so all of it fits; more is dropped and said.
    fn pass_on(&self, bytes: &[u8]) {
        let Some(stdin) = &self.stdin else {
            return;
        };
        match stdin.write(bytes) {
            Ok(count) if count < bytes.len() => {
                log::warn!(
                    "host link: {} bytes of input came without credit",
                    bytes.len() - count
                );
            }
            // Closed: the program reads no more.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Sends what was recorded, in frames as full as they may be.
struct Recording<'a> {
    link: &'a Link,
    text: String,
    len_bytes: u64,
}

impl<'a> Recording<'a> {
    fn new(link: &'a Link) -> Self {
        Self {
            link,
            text: String::new(),
            len_bytes: 0,
        }
    }

    fn send(mut self, what: tracing::What) {
        // It cannot fail: what is lost on the line is seen by the host, which is told the length.
        let _ = tracing::write_recording(what, &mut self);
        self.flush();
        self.link.send(&Message::RecordingEnd {
            len_bytes: self.len_bytes,
        });
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        for part in text
            .as_bytes()
            .chunks(contract_host_link::PAYLOAD_LEN_BYTES_MAX)
        {
            self.link.send(&Message::RecordingData(part));
        }
        self.len_bytes += text.len() as u64;
    }
}

impl fmt::Write for Recording<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        if self.text.len() >= contract_host_link::PAYLOAD_LEN_BYTES_MAX {
            self.flush();
        }
        Ok(())
    }
}
