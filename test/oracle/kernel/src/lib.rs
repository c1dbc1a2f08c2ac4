//! A kernel that runs the oracle's cases one after the other, and sends what came of each.
//!
//! Law: it is the product's kernel up to and with the supervisor and what it links; a program gets what a job's gets. The
//! system's bundle has the registry's programs, the job's bundle further ones and the cases ([`case`] has their layout). Over
//! the host link each case is one conversation of `contract/host-link`, in the order of their names: HELLO, the program's
//! output as it comes, what there is to say about its end, the tree that it leaves, EXIT. Behind the last the machine is
//! switched off. What cannot be run is said and ends with 126, as a job.
//!
//! Words of the command line: `defects=NAME,NAME…` spoils the first case's result by the first [`Defect`], and so on.

mod case;
mod defect;
mod system;

use std::sync::Arc;
use std::thread;

use contract_boot::BootInfo;
use contract_host_link::VERSION;
use kernel_core::{fault, log as kernel_log, power};
use kernel_machine::cpu::entry::HandOver;
use lib_host_link::{Message, Stream};
use runtime_exchange::{Link, TreeSender, image};
use runtime_platform::failure;
use runtime_supervisor::{CodeSource, Exit, Files, Launch, Links};

use case::Case;
use defect::Defect;
use system::System;

kernel_machine::entry_point!(main);

/// Stack of the thread that runs the cases, in bytes.
const STACK_BYTES: usize = 1 << 20;
/// Exit code for a program that cannot be run, as shells have it.
const UNUSABLE: i32 = 126;

/// The start, as a table of contents.
fn main(hand_over: HandOver) -> ! {
    failure::install_panic_hook();
    let info = kernel_core::start(&hand_over);
    // The loader's stack is small and has no guard page: the rest runs on a thread's own.
    let running = thread::Builder::new()
        .name("cases".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || run_all(&info));
    match running.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => power::power_off(),
        Ok(Ok(Err(sentence))) => fault::stop(&sentence),
        Ok(Err(_)) => fault::stop("a panic in the oracle"),
        Err(error) => fault::stop_with(format_args!("no thread for the cases: {error}")),
    }
}

fn run_all(info: &BootInfo) -> Result<(), String> {
    let defects = Defect::of_command_line(kernel_log::command_line(info))?;
    let bundle = image::open("system's bundle", &info.bundle)?.ok_or("there is no bundle")?;
    let cases = image::open("job", &info.job)?.ok_or("the host sent no cases")?;
    let system = System::start([bundle, cases])?;
    let link = Arc::new(Link::default());
    for (number, folder) in case::folders(cases).enumerate() {
        link.send(&Message::Hello { version: VERSION });
        let defect = defects.get(number).copied();
        let code = Case::read(cases, folder)
            .and_then(|case| run(&system, &link, &case, defect))
            .unwrap_or_else(|sentence| {
                link.send_text(&sentence);
                UNUSABLE
            });
        link.send(&Message::Exit { code });
    }
    Ok(())
}

/// Runs one case and gives its exit code; the rest is sent.
fn run(
    system: &System,
    link: &Arc<Link>,
    case: &Case,
    defect: Option<Defect>,
) -> Result<i32, String> {
    let tree = case.tree(system.tree_budget())?;
    let output = |stream| defect::sink(link.output(stream), stream, defect);
    let process = system
        .supervisor()
        .spawn(Launch {
            program: system.program(&case.name)?,
            arguments: case.arguments.clone(),
            environment: case.environment.clone(),
            stdin: case.stdin(),
            stdout: output(Stream::Stdout),
            stderr: output(Stream::Stderr),
            terminal: None,
            files: Files::whole(tree.clone(), case.rights),
            may_spawn: false,
            links: Links::default(),
            limits: system.limits(),
            code: CodeSource::Precompiled,
            call: None,
        })
        .map_err(|error| format!("{}: {error}", case.name))?;
    let exit = process.wait();
    if let Some(message) = exit.message(&case.name) {
        link.send_text(&message);
    }
    defect.map_or(Ok(()), |defect| defect.spoil_tree(&tree))?;
    TreeSender::new(link, &tree).send();
    Ok(code(&exit) ^ i32::from(defect == Some(Defect::ExitCode)))
}

fn code(exit: &Exit) -> i32 {
    i32::from(exit.exit_code())
}
