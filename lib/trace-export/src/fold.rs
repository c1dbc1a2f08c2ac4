//! Samples of a profile, counted by stack.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use lib_trace_ring::{Kind, Record};

use crate::Trace;
use crate::text::FrameText;

/// A profile as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// One stack a line, `thread;outermost;…;innermost COUNT`, in the order of their text.
    pub text: String,
    /// Samples in it.
    pub samples: u64,
    /// Samples of idle CPUs, which are not in it.
    pub idle_samples: u64,
    /// Samples that the ring had overwritten in part.
    pub torn_samples: u64,
}

/// Counts the samples of a trace by stack. `name_of` gives the function that an address lies in.
pub fn fold(trace: &Trace, name_of: &dyn Fn(u64) -> Option<String>) -> Folded {
    let mut folder = Folder {
        trace,
        name_of,
        names: BTreeMap::new(),
        stacks: BTreeMap::new(),
        result: Folded::default(),
    };
    trace.cpus.iter().for_each(|cpu| folder.cpu(&cpu.records));
    folder.finish()
}

struct Folder<'a> {
    trace: &'a Trace,
    name_of: &'a dyn Fn(u64) -> Option<String>,
    names: BTreeMap<u64, String>,
    stacks: BTreeMap<String, u64>,
    result: Folded,
}

impl Folder<'_> {
    fn cpu(&mut self, records: &[Record]) {
        let mut rest = records
            .iter()
            .filter(|record| record.kind.category() == Kind::Sample.category())
            .peekable();
        while let Some(record) = rest.next() {
            if record.kind != Kind::Sample {
                // Places whose sample was overwritten; the first such begins a torn one.
                continue;
            }
            let mut places = Vec::new();
            while let Some(more) = rest.next_if(|next| next.kind == Kind::Places) {
                places.extend([more.a, more.b].iter().filter(|place| **place != 0));
            }
            self.sample(record, &places);
        }
    }

    fn sample(&mut self, record: &Record, places: &[u64]) {
        if record.a != 0 {
            self.result.idle_samples += 1;
        } else if places.len() != usize::from(record.extra) {
            self.result.torn_samples += 1;
        } else {
            self.result.samples += 1;
            let stack = self.stack(record.thread, places);
            *self.stacks.entry(stack).or_default() += 1;
        }
    }

    fn stack(&mut self, thread: u32, places: &[u64]) -> String {
        let process = self.trace.process_of(thread).map(|process| &*process.name);
        let root = process.unwrap_or_else(|| self.trace.thread_name(thread));
        let mut stack = FrameText(root).to_string();
        for place in places.iter().rev() {
            stack.push(';');
            stack += self.name(*place);
        }
        stack
    }

    fn name(&mut self, place: u64) -> &str {
        let name_of = self.name_of;
        self.names.entry(place).or_insert_with(|| {
            let name = name_of(place).unwrap_or_else(|| "?".to_owned());
            format!("{}", FrameText(&name))
        })
    }

    fn finish(mut self) -> Folded {
        for (stack, count) in &self.stacks {
            // A `String` takes everything.
            let _ = writeln!(self.result.text, "{stack} {count}");
        }
        self.result
    }
}
