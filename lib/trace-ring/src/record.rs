//! Records and their kinds.

/// Length of a record in bytes.
pub const RECORD_BYTES: usize = 32;

/// What can be traced apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Category {
    /// A CPU goes from one thread to another.
    Switch,
    /// A thread is made runnable.
    Wake,
    /// Page faults.
    Fault,
    /// Shoot-downs of translations.
    ShootDown,
    /// Traps handed to the runtime.
    Trap,
    /// Calls of programs to the host.
    HostCall,
    /// Interrupts of devices and between CPUs.
    Interrupt,
    /// The timer's interrupts.
    Timer,
    /// Starts and ends of processes.
    Process,
    /// Samples of what runs. Switched on by the profiler only.
    Sample,
}

impl Category {
    /// Every category with its name.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Switch, "switch"),
        (Self::Wake, "wake"),
        (Self::Fault, "fault"),
        (Self::ShootDown, "shootdown"),
        (Self::Trap, "trap"),
        (Self::HostCall, "host-call"),
        (Self::Interrupt, "interrupt"),
        (Self::Timer, "timer"),
        (Self::Process, "process"),
        (Self::Sample, "sample"),
    ];

    /// Its bit in a mask of categories.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The category of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(category, _)| *category)
    }
}

macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident: $category:ident,)*) => {
        /// What a record tells.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind { $($(#[$about])* $kind,)* }

        /// Every kind, in the order of their numbers.
        pub const KINDS: &[Kind] = &[$(Kind::$kind,)*];

        impl Kind {
            /// What switches it on.
            pub const fn category(self) -> Category {
                match self { $(Self::$kind => Category::$category,)* }
            }
        }
    };
}

kinds! {
    /// `a`: the thread that leaves the CPU, `b`: the one that gets it.
    Switch: Switch,
    /// `a`: the thread made runnable, `b`: the CPU whose queue it stands in.
    Wake: Wake,
    /// `a`: the address, `b`: 0 load, 1 store, 2 instruction fetch.
    FaultBegin: Fault,
    /// `a`: the address, `b`: 0 resolved, else how it was not.
    FaultEnd: Fault,
    /// `a`: pages, 0 for all.
    ShootDownBegin: ShootDown,
    /// `a`: as at the begin.
    ShootDownEnd: ShootDown,
    /// `extra`: the vector, `a`: the instruction.
    Trap: Trap,
    /// `a`: the function's number.
    HostCallBegin: HostCall,
    /// `a`: the function's number.
    HostCallEnd: HostCall,
    /// `extra`: the vector.
    InterruptBegin: Interrupt,
    /// `extra`: the vector.
    InterruptEnd: Interrupt,
    /// The timer fired.
    TimerBegin: Timer,
    /// It was handled.
    TimerEnd: Timer,
    /// `a`: the process.
    ProcessStart: Process,
    /// `a`: the process, `b`: its exit code.
    ProcessEnd: Process,
    /// `extra`: how many places, `a`: 1 if the idle thread ran. The places follow.
    Sample: Sample,
    /// `a` and `b`: two places of the sample before, from the innermost outwards; 0 for none.
    Places: Sample,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Time-stamp counter.
    pub tsc: u64,
    /// What it tells.
    pub kind: Kind,
    /// By kind.
    pub extra: u16,
    /// The thread that ran.
    pub thread: u32,
    /// By kind.
    pub a: u64,
    /// By kind.
    pub b: u64,
}

impl Record {
    /// As a ring keeps it. The first byte of the second word is the kind's number plus one, so that no record is
    /// all zeroes.
    pub fn to_words(self) -> [u64; 4] {
        let kind = self.kind as u64 + 1;
        let about = kind | u64::from(self.extra) << 16 | u64::from(self.thread) << 32;
        [self.tsc, about, self.a, self.b]
    }

    /// The record of these words; `None` if they are none.
    pub fn from_words([tsc, about, a, b]: [u64; 4]) -> Option<Self> {
        let number = usize::from(about as u8).checked_sub(1)?;
        Some(Self {
            tsc,
            kind: *KINDS.get(number)?,
            extra: (about >> 16) as u16,
            thread: (about >> 32) as u32,
            a,
            b,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_their_words() {
        for (number, kind) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, number);
            let record = Record {
                tsc: u64::MAX - 7,
                kind: *kind,
                extra: 0xfffe,
                thread: 0x8000_0001,
                a: 1 << 63,
                b: 3,
            };
            assert_eq!(Record::from_words(record.to_words()), Some(record));
        }
        assert_eq!(Record::from_words([0; 4]), None);
        assert_eq!(Record::from_words([1, 255, 0, 0]), None);
    }

    #[test]
    fn categories_have_bits_and_names_of_their_own() {
        for (number, (category, name)) in Category::ALL.iter().enumerate() {
            assert_eq!(category.bit(), 1 << number);
            assert_eq!(category.name(), *name);
            assert_eq!(Category::by_name(name), Some(*category));
        }
        assert_eq!(Category::by_name("all"), None);
    }
}
