//! What a process's store holds for the host's functions.

use crate::limits::{Limiter, Refusal};
use runtime_kpio::{KpioContext, KpioView};
use runtime_link::{LinkContext, LinkView};
use runtime_wasi::{WasiContext, WasiView};

/// The data of one process's store.
pub struct ProcessState {
    wasi: WasiContext,
    kpio: KpioContext,
    links: LinkContext,
    limiter: Limiter,
}

impl ProcessState {
    pub(crate) fn new(
        wasi: WasiContext,
        kpio: KpioContext,
        links: LinkContext,
        limiter: Limiter,
    ) -> ProcessState {
        ProcessState {
            wasi,
            kpio,
            links,
            limiter,
        }
    }

    pub(crate) fn limiter(&mut self) -> &mut Limiter {
        &mut self.limiter
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.limiter.refusal()
    }
}

impl WasiView for ProcessState {
    fn wasi(&mut self) -> &mut WasiContext {
        &mut self.wasi
    }
}

impl KpioView for ProcessState {
    fn kpio(&mut self) -> (&mut WasiContext, &KpioContext) {
        (&mut self.wasi, &self.kpio)
    }
}

impl LinkView for ProcessState {
    fn link(&mut self) -> (&mut WasiContext, &mut LinkContext) {
        (&mut self.wasi, &mut self.links)
    }
}
