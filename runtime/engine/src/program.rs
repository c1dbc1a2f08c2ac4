//! A program that is ready to be instantiated, with what that will take.
//!
//! Wasmtime allocates an instance's own tables (a record per function, import, global and segment)
//! without asking anybody, and a small component may instantiate a large module again and again. So
//! a program says how many instances it may have and what they take at most, and whoever
//! instantiates it reserves that.

use crate::Survey;
use crate::interrupt::Bodies;
use crate::prologue;
use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use wasmtime::component::Component;
use wasmtime::{Module, ModuleFunction};

/// Bytes of an instance per entry of its module: a function reference or an import are the largest,
/// with 32.
const PER_ENTRY: u64 = 40;

/// Less than this between two functions, in bytes, can only be padding: no trampoline is as short.
const PADDING_BYTES_MAX: usize = 16;

/// Bytes of an instance besides its entries.
const PER_INSTANCE: u64 = 4 << 10;

/// How often each place of instantiation may be passed: components inside a component may be instantiated
/// more than once, though hardly any are.
const INSTANCES_PER_PLACE: u64 = 2;

/// Bytes of a precompiled image per byte of its instances. Each function has at least 120 bytes in
/// an image.
const IMAGE_BYTES_PER_INSTANCE_BYTE: u64 = 4;

/// Which compiler made a program's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Winch: compiles many times as fast, and its code runs at a fraction of the speed.
    Baseline,
    /// Cranelift.
    Optimized,
}

/// Code of one of the two kinds.
#[derive(Clone)]
pub enum Code {
    /// A component.
    Component(Component),
    /// A core module that stands alone.
    Module(Module),
}

impl Code {
    /// The engine of Wasmtime's that the code belongs to: its linker and its store must be of that one.
    pub fn engine(&self) -> &wasmtime::Engine {
        match self {
            Code::Component(component) => component.engine(),
            Code::Module(module) => module.engine(),
        }
    }

    /// Its machine code.
    pub fn text(&self) -> &[u8] {
        match self {
            Code::Component(component) => component.text(),
            Code::Module(module) => module.text(),
        }
    }

    /// Calls `visit` for each function of its machine code.
    pub fn for_each_function(&self, visit: impl FnMut(ModuleFunction)) {
        match self {
            Code::Component(component) => component.functions().for_each(visit),
            Code::Module(module) => module.functions().for_each(visit),
        }
    }

    /// Memory of its image in bytes: its code, its tables and its data segments.
    pub fn image_bytes(&self) -> u64 {
        let range = match self {
            Code::Component(component) => component.image_range(),
            Code::Module(module) => module.image_range(),
        };
        (range.end.addr() - range.start.addr()) as u64
    }
}

/// A program's code, and what instantiating it once takes.
#[derive(Clone)]
pub struct Program {
    /// The code itself.
    pub code: Code,
    /// Which compiler made it.
    pub tier: Tier,
    /// Most instances of core modules that [`Program::instance_bytes`] is enough for.
    pub instances_max: usize,
    /// Memory of all these instances besides their linear memories and tables, in bytes.
    pub instance_bytes: u64,
    /// See [`Program::bodies`]; made when first asked for.
    bodies: Arc<OnceLock<Bodies>>,
    /// What whoever runs it made of it once.
    derived: Arc<OnceLock<Arc<dyn Any + Send + Sync>>>,
}

impl Program {
    /// What `make` makes of this program, made once for it and its clones, and kept as long as they are. Whoever asks
    /// for another type than was made first gets one of its own.
    pub fn derived<T: Send + Sync + 'static, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let kept = self.derived.get().cloned();
        if let Some(Ok(value)) = kept.map(Arc::downcast::<T>) {
            return Ok(value);
        }
        let made = Arc::new(make()?);
        // Two threads may have made it at the same time: then one of them runs with its own.
        let _kept = self.derived.set(Arc::clone(&made) as _);
        Ok(made)
    }

    /// A program whose bytes were surveyed.
    pub(crate) fn surveyed(code: Code, tier: Tier, survey: &Survey) -> Program {
        let instances = INSTANCES_PER_PLACE * survey.core_instances;
        let bytes = PER_INSTANCE + PER_ENTRY * survey.largest_module_entries;
        Program {
            code,
            tier,
            instances_max: usize::try_from(instances).unwrap_or(usize::MAX),
            instance_bytes: instances.saturating_mul(bytes),
            bodies: Arc::default(),
            derived: Arc::default(),
        }
    }

    /// A program of the verified image, which does not try to exhaust anything.
    pub(crate) fn trusted(code: Code) -> Program {
        let instance_bytes = code.image_bytes() / IMAGE_BYTES_PER_INSTANCE_BYTE;
        Program {
            code,
            tier: Tier::Optimized,
            instances_max: usize::MAX,
            instance_bytes,
            bodies: Arc::default(),
            derived: Arc::default(),
        }
    }

    /// Where its functions lie, without Wasmtime's trampolines between wasm and host, and without the places where their frame
    /// pointers lead nowhere ([`prologue`]).
    pub(crate) fn bodies(&self) -> &Bodies {
        self.bodies.get_or_init(|| bodies(&self.code))
    }

    /// Memory of its image in bytes: its code, its tables and its data segments.
    pub fn image_bytes(&self) -> u64 {
        self.code.image_bytes()
    }
}

fn bodies(code: &Code) -> Bodies {
    let text = code.text();
    let start = text.as_ptr().addr();
    let (mut found, mut holes) = (Vec::new(), Vec::new());
    code.for_each_function(|function| {
        let body = function.offset..function.offset + function.len;
        let hole = text.get(body.clone()).and_then(prologue::without_a_frame);
        holes.extend(
            hole.map(|hole| start + body.start + hole.start..start + body.start + hole.end),
        );
        if !body.is_empty() {
            found.push(start + body.start..start + body.end);
        }
    });
    found.sort_unstable_by_key(|body| body.start);
    holes.sort_unstable_by_key(|hole| hole.start);
    without(join_neighbours(&found), &holes).into()
}

/// The bodies without the holes, each of which lies inside of one; both in ascending order.
fn without(bodies: Vec<Range<usize>>, holes: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut holes = holes.iter().peekable();
    let mut left = Vec::with_capacity(bodies.len() + holes.len());
    for mut body in bodies {
        while let Some(hole) = holes.next_if(|hole| hole.end <= body.end) {
            left.push(body.start..hole.start);
            body.start = hole.end;
        }
        left.push(body);
    }
    left
}

/// Makes one range of functions between which there are only bytes for alignment.
fn join_neighbours(bodies: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::new();
    for body in bodies {
        match joined.last_mut() {
            Some(last) if body.start.saturating_sub(last.end) < PADDING_BYTES_MAX => {
                last.end = body.end;
            }
            _ => joined.push(body.clone()),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::{join_neighbours, without};

    #[test]
    fn only_padding_is_joined_over() {
        assert!(join_neighbours(&[]).is_empty());
        assert_eq!(
            join_neighbours(&[0..10, 10..20, 35..40, 56..60]),
            [0..40, 56..60]
        );
    }

    #[test]
    fn holes_are_left_out() {
        assert_eq!(without(vec![0..40, 56..60], &[]), [0..40, 56..60]);
        assert_eq!(
            without(vec![0..40, 56..90], &[4..8, 20..30, 60..61]),
            [0..4, 8..20, 30..40, 56..60, 61..90]
        );
    }
}
