//! Which CPU a thread that can run goes to.
//!
//! Law, first match wins:
//! 1. The waker is about to sleep and nobody waits for its CPU: there. The thread runs a switch later, on a warm
//!    cache, and no CPU is interrupted.
//! 2. Where it ran last, if that is idle: its cache is there.
//! 3. Any idle CPU, those that poll first: they need no interrupt.
//! 4. Nobody is idle: where the fewest wait; of equals where it ran last, then the waker's.
//!
//! A CPU outside the thread's affinity is never chosen. What is asked here may change at once; the caller claims an
//! idle CPU by an atomic step and asks again if another was faster.

use crate::{CpuSet, cpus_behind, only};

/// What is known when a thread is placed.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// CPUs that run and that its affinity allows; not empty.
    pub allowed: CpuSet,
    /// Where it ran last.
    pub last: u32,
    /// The CPU that wakes it.
    pub here: u32,
    /// The waker is about to sleep.
    pub waker_sleeps: bool,
}

/// What a CPU is doing.
pub trait Loads {
    /// Nothing, and nobody has promised it anything.
    fn is_idle(&self, cpu: u32) -> bool;
    /// Nothing, and it looks by itself whether that changes.
    fn is_polling(&self, cpu: u32) -> bool;
    /// How many threads wait for it.
    fn waiting(&self, cpu: u32) -> u32;
}

/// Where the thread should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An idle CPU, which must be claimed.
    Idle(u32),
    /// The waker's CPU, which it is about to give up.
    Waker(u32),
    /// A busy CPU.
    Busy(u32),
}

/// Chooses; see the module's law.
#[inline]
pub fn choose(situation: Situation, loads: &impl Loads) -> Place {
    let Situation {
        allowed,
        last,
        here,
        waker_sleeps,
    } = situation;
    if waker_sleeps && allowed & only(here) != 0 && loads.waiting(here) == 0 {
        return Place::Waker(here);
    }
    if allowed & only(last) != 0 && loads.is_idle(last) {
        return Place::Idle(last);
    }
    if let Some(cpu) = any_idle(allowed, last, loads) {
        return Place::Idle(cpu);
    }
    Place::Busy(least_loaded(situation, loads))
}

fn any_idle(allowed: CpuSet, last: u32, loads: &impl Loads) -> Option<u32> {
    let mut halted = None;
    for cpu in cpus_behind(last, allowed).filter(|cpu| loads.is_idle(*cpu)) {
        if loads.is_polling(cpu) {
            return Some(cpu);
        }
        halted = halted.or(Some(cpu));
    }
    halted
}

fn least_loaded(situation: Situation, loads: &impl Loads) -> u32 {
    let distance = |cpu| match cpu {
        _ if cpu == situation.last => 0,
        _ if cpu == situation.here => 1,
        _ => 2,
    };
    cpus_behind(situation.last, situation.allowed)
        .min_by_key(|cpu| (loads.waiting(*cpu), distance(*cpu)))
        .unwrap_or(situation.last)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table {
        idle: CpuSet,
        polling: CpuSet,
        waiting: [u32; 64],
    }

    impl Loads for Table {
        fn is_idle(&self, cpu: u32) -> bool {
            self.idle & only(cpu) != 0
        }
        fn is_polling(&self, cpu: u32) -> bool {
            self.polling & only(cpu) != 0
        }
        fn waiting(&self, cpu: u32) -> u32 {
            self.waiting[cpu as usize]
        }
    }

    fn table(idle: CpuSet, polling: CpuSet) -> Table {
        Table {
            idle,
            polling,
            waiting: [0; 64],
        }
    }

    fn woken(allowed: CpuSet) -> Situation {
        Situation {
            allowed,
            last: 2,
            here: 0,
            waker_sleeps: false,
        }
    }

    #[test]
    fn its_last_cpu_comes_before_other_idle_ones() {
        let place = choose(woken(0b1111), &table(0b1110, 0b1010));
        assert_eq!(place, Place::Idle(2));
    }

    #[test]
    fn polling_comes_before_halted() {
        assert_eq!(
            choose(woken(0b1111), &table(0b1010, 0b0010)),
            Place::Idle(1)
        );
        assert_eq!(
            choose(woken(0b1111), &table(0b1010, 0b0000)),
            Place::Idle(3)
        );
    }

    #[test]
    fn a_waker_that_goes_to_sleep_hands_its_cpu_over() {
        let synchronous = Situation {
            waker_sleeps: true,
            ..woken(0b1111)
        };
        assert_eq!(choose(synchronous, &table(0b1110, 0)), Place::Waker(0));
        let mut crowded = table(0b1110, 0);
        crowded.waiting[0] = 1;
        assert_eq!(choose(synchronous, &crowded), Place::Idle(2));
    }

    #[test]
    fn busy_cpus_get_what_evens_their_queues() {
        let mut loads = table(0, 0);
        assert_eq!(choose(woken(0b1111), &loads), Place::Busy(2));
        loads.waiting = [1; 64];
        loads.waiting[2] = 2;
        assert_eq!(choose(woken(0b1111), &loads), Place::Busy(0));
        loads.waiting[3] = 0;
        assert_eq!(choose(woken(0b1111), &loads), Place::Busy(3));
    }

    #[test]
    fn affinity_is_a_law() {
        for allowed in 1..=0b1111 {
            for idle in 0..=0b1111 {
                for waker_sleeps in [false, true] {
                    let situation = Situation {
                        waker_sleeps,
                        ..woken(allowed)
                    };
                    let (Place::Idle(cpu) | Place::Busy(cpu) | Place::Waker(cpu)) =
                        choose(situation, &table(idle, 0b0101 & idle));
                    assert!(allowed & only(cpu) != 0, "{situation:?}, idle {idle:b}");
                }
            }
        }
    }
}
