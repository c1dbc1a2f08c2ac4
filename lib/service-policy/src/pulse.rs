//! Whether a run that is ready shows that it is well.
//!
//! Law: a run whose service has no [`Health`] owes nothing, and no time is due for it. Of one that is asked, the next
//! question is due `every_ms` after its last answer, and its answer `deadline_ms` after the question. One that is to speak by
//! itself has both together from one sign of life to the next.

use lib_service_manifest::{Health, Service};

use crate::deadline::Deadline;
use crate::entry::NS_PER_MS;

/// What a run owes next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    health: Health,
    is_asked: bool,
    due: Due,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    /// It is to be asked then.
    Question(u64),
    /// It has to have shown that it is well until then.
    Sign(Deadline),
}

/// What time makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing yet.
    Quiet,
    /// It is to be asked.
    Ask,
    /// It is not well, and was given so many milliseconds to say otherwise.
    Missed(u64),
}

impl Pulse {
    /// That of a run of this service which is ready now.
    pub fn begin(service: &Service, now_ns: u64) -> Option<Self> {
        let health = service.health?;
        let mut pulse = Self {
            health,
            is_asked: service.is_asked(),
            due: Due::Question(now_ns),
        };
        pulse.hear(now_ns);
        Some(pulse)
    }

    /// It has shown that it is well.
    pub fn hear(&mut self, now_ns: u64) {
        let every_ns = self.health.every_ms.saturating_mul(NS_PER_MS);
        self.due = match self.is_asked {
            true => Due::Question(now_ns.saturating_add(every_ns)),
            false => self.sign_is_due(now_ns),
        };
    }

    fn sign_is_due(&self, from_ns: u64) -> Due {
        Due::Sign(Deadline::after(from_ns, self.patience_ms()))
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ns: u64) -> Beat {
        match &mut self.due {
            Due::Question(at_ns) if *at_ns <= now_ns => {
                self.due = self.sign_is_due(now_ns);
                Beat::Ask
            }
            Due::Question(_) => Beat::Quiet,
            Due::Sign(deadline) => match deadline.is_over(now_ns) {
                true => Beat::Missed(self.patience_ms()),
                false => Beat::Quiet,
            },
        }
    }

    fn patience_ms(&self) -> u64 {
        match self.is_asked {
            true => self.health.deadline_ms,
            false => self.health.every_ms.saturating_add(self.health.deadline_ms),
        }
    }

    /// When [`Pulse::tick`] is due.
    pub fn due_ns(&self) -> u64 {
        match self.due {
            Due::Question(due_ns) => due_ns,
            Due::Sign(deadline) => deadline.at_ns(),
        }
    }
}
