//! A program that is ready to be instantiated, with what that will take.
//!
//! Wasmtime allocates an instance's own tables (a record per function, import, global and segment)
//! without asking anybody, and a small component may instantiate a large module again and again. So
//! a program says how many instances it may have and what they take at most, and whoever
//! instantiates it reserves that.

use crate::interrupt::Bodies;
use crate::{Survey, cache};
use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use wasmtime::component::Component;

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

/// A component, and what instantiating it once takes.
#[derive(Clone)]
pub struct Program {
    /// The component itself.
    pub component: Component,
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
    pub(crate) fn surveyed(component: Component, survey: &Survey) -> Program {
        let instances = INSTANCES_PER_PLACE * survey.core_instances;
        let bytes = PER_INSTANCE + PER_ENTRY * survey.largest_module_entries;
        Program {
            component,
            instances_max: usize::try_from(instances).unwrap_or(usize::MAX),
            instance_bytes: instances.saturating_mul(bytes),
            bodies: Arc::default(),
            derived: Arc::default(),
        }
    }

    /// A program of the verified image, which does not try to exhaust anything.
    pub(crate) fn trusted(component: Component) -> Program {
        let instance_bytes = cache::image_bytes(&component) / IMAGE_BYTES_PER_INSTANCE_BYTE;
        Program {
            component,
            instances_max: usize::MAX,
            instance_bytes,
            bodies: Arc::default(),
            derived: Arc::default(),
        }
    }

    /// Where its functions lie, without Wasmtime's trampolines between wasm and host.
    pub(crate) fn bodies(&self) -> &Bodies {
        self.bodies.get_or_init(|| bodies(&self.component))
    }

    /// Memory of its image in bytes: its code, its tables and its data segments.
    pub fn image_bytes(&self) -> u64 {
        cache::image_bytes(&self.component)
    }
}

fn bodies(component: &Component) -> Bodies {
    let text = component.text().as_ptr().addr();
    let mut found: Vec<Range<usize>> = component
        .functions()
        .map(|function| text + function.offset..text + function.offset + function.len)
        .filter(|body| !body.is_empty())
        .collect();
    found.sort_unstable_by_key(|body| body.start);
    join_neighbours(&found).into()
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
    use super::join_neighbours;

    #[test]
    fn only_padding_is_joined_over() {
        assert!(join_neighbours(&[]).is_empty());
        assert_eq!(
            join_neighbours(&[0..10, 10..20, 35..40, 56..60]),
            [0..40, 56..60]
        );
    }
}
