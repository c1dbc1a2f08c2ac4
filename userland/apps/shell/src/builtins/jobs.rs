//! Jobs.

use super::{failed, options};
use crate::jobs::Job;
use crate::shell::{NOT_FOUND, Outcome, SUCCESS, Shell, Unwind};

pub(super) fn list(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (letters, _) = options(arguments, "lprs")?;
    shell.jobs.update();
    let current = shell.jobs.current();
    let mut text = String::new();
    for job in shell.jobs.iter() {
        if letters.contains('p') {
            text += &format!("{}\n", job.id().unwrap_or_default());
        } else {
            text += &job.line(Some(job.number) == current);
        }
    }
    // What has ended was told.
    shell.jobs.take_done();
    shell.files.write(text.as_bytes())?;
    Ok(SUCCESS)
}

/// The number of the job that is meant.
fn meant(shell: &Shell, text: Option<&String>) -> Result<usize, Unwind> {
    match text {
        None => shell.jobs.current().ok_or_else(|| failed("no current job")),
        Some(text) => {
            let whole = if text.starts_with('%') {
                text.clone()
            } else {
                format!("%{text}")
            };
            shell
                .jobs
                .find(&whole)
                .ok_or_else(|| failed(format!("{text}: no such job")))
        }
    }
}

pub(super) fn foreground(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let number = meant(shell, arguments.first())?;
    let Some(mut job) = shell.jobs.take(number) else {
        return Err(failed("no current job"));
    };
    let statuses = shell.run_in_foreground(|shell, _| {
        shell.go_on_in_foreground(&mut job)?;
        Ok(job)
    })?;
    Ok(statuses.last().copied().unwrap_or_default())
}

pub(super) fn background(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let number = meant(shell, arguments.first())?;
    if let Some(job) = shell.jobs.get_mut(number) {
        job.suspend(false);
        let line = format!("[{number}]+ {} &\n", job.command);
        shell.files.error(&line);
    }
    Ok(SUCCESS)
}

pub(super) fn wait(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (_, arguments) = options(arguments, "nf")?;
    if arguments.is_empty() {
        for number in shell.jobs.awaited() {
            wait_for(shell, number)?;
        }
        return Ok(SUCCESS);
    }
    let mut status = SUCCESS;
    for text in arguments {
        status = match shell.jobs.find(text) {
            Some(number) => wait_for(shell, number)?,
            None => {
                shell.complain(format_args!(
                    "wait: {text}: no such job or child of this shell"
                ));
                NOT_FOUND
            }
        };
    }
    Ok(status)
}

fn wait_for(shell: &mut Shell, number: usize) -> Outcome {
    match shell.jobs.take(number) {
        Some(mut job) => shell.wait_for(&mut job),
        None => Ok(NOT_FOUND),
    }
}

pub(super) fn kill(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let (signal, targets) = match arguments.split_first() {
        Some((first, _)) if first == "-l" => {
            shell.files.write(b"TERM KILL INT STOP TSTP CONT\n")?;
            return Ok(SUCCESS);
        }
        Some((first, rest)) if first == "-s" && !rest.is_empty() => (rest[0].as_str(), &rest[1..]),
        Some((first, rest)) if first.starts_with('-') && first.len() > 1 => (&first[1..], rest),
        _ => ("TERM", arguments),
    };
    if targets.is_empty() {
        return Err(failed("usage: kill [-SIGNAL] JOB|PROCESS…"));
    }
    for target in targets {
        let number = shell.jobs.find(target);
        let job = number.and_then(|number| shell.jobs.get_mut(number));
        let job =
            job.ok_or_else(|| failed(format!("({target}) - no such job or child of this shell")))?;
        send(job, signal)?;
    }
    Ok(SUCCESS)
}

/// There are no signals: a job can be ended, be suspended and go on.
fn send(job: &mut Job, signal: &str) -> Result<(), Unwind> {
    match signal.strip_prefix("SIG").unwrap_or(signal) {
        "TERM" | "KILL" | "INT" | "HUP" | "QUIT" | "1" | "2" | "3" | "9" | "15" => job.kill(),
        "STOP" | "TSTP" | "19" | "20" => job.suspend(true),
        "CONT" | "18" => job.suspend(false),
        "0" => (),
        other => return Err(failed(format!("{other}: invalid signal specification"))),
    }
    Ok(())
}

pub(super) fn disown(shell: &mut Shell, arguments: &[String]) -> Outcome {
    let number = meant(shell, arguments.first())?;
    if let Some(job) = shell.jobs.take(number) {
        job.running().iter().for_each(|child| child.disown());
    }
    Ok(SUCCESS)
}
