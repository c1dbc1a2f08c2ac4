//! What a process holds of the host: budgets, cancellation, waiting, byte streams, channels, buffers, file trees, clocks.
//!
//! Nothing here knows WebAssembly or any interface of it; `runtime/wasi` and the interfaces of our own
//! are thin layers over these types, and the supervisor wires them up. Only `std` is used, so all of it
//! runs in the kernel and in host tests alike.
//!
//! Laws:
//! - *No operation blocks unless its name says so.* Waiting is [`wait_until`] alone: try, subscribe, try
//!   again, sleep. Nobody polls by the clock.
//! - *A cancelled process does not stay blocked*: each wait also listens to its [`Cancellation`].
//! - *Memory is reserved from a [`Budget`] before it is allocated*, and a refusal is a value.
//! - Lock order: a source's or sink's own lock is taken before its subscribers', and that before a
//!   notifier's. No lock is held while waiting or while calling foreign code, but that of what stands in front of a stream, which
//!   comes before all of these (`tie`).
//! - A lock poisoned by a panic is used on: the panic ends the process that it served, and the others
//!   that share the object go on. Every critical section keeps its data valid at each step.

mod budget;
mod buffer;
mod cancellation;
pub mod channel;
mod clock;
mod clock_hardware;
mod console;
mod ending;
mod entropy;
mod escrow;
mod file_stream;
mod file_tree;
mod lending;
mod log_source;
mod meter;
mod moving;
mod notices;
mod notify;
pub mod observe;
mod permission;
mod pipe;
mod stream;
mod sync;
mod terminal;
mod tie;
mod virtual_terminal;
mod wait;

pub use budget::{Budget, OutsideUse, OverBudget, Reservation, check_free_memory, set_free_memory};
pub use buffer::{Access, Buffer, BufferError, HeldLoan, Loan, Part};
pub use cancellation::{Cancellation, Cancelled};
pub use clock::{Clock, SystemClock};
pub use clock_hardware::{ClockHardware, ClockHardwareError};
pub use console::{
    Console, ConsoleHold, ConsoleParts, ConsoleScreen, ConsoleStep, Keys, Look, TERMINALS, Taken,
};
pub use ending::ProcessExit;
pub use entropy::{Entropy, EntropyError, SystemEntropy};
pub use escrow::{
    ESCROW_ENTRIES_MAX, ESCROW_KEY_BYTES_MAX, ESCROW_VALUE_BYTES_MAX, Escrow, EscrowFull, Seat,
};
pub use file_stream::{FilePlace, FileSink, FileSource};
pub use file_tree::{BudgetCharge, FileTree, PinnedNode, file_time};
pub use lending::{Urgencies, set_urgencies};
pub use log_source::{LogCursor, LogLevel, LogSource, SaidLine};
pub use meter::{MeteredSink, OnExcess, OutputExceeded};
pub use moving::{Extent, Rectangle, blit, gather};
pub use notices::{NOTICES_MAX, Notice, Notices};
pub use notify::{Awaited, Notifier, Subscribers};
pub use permission::Permission;
pub use pipe::{PIPE_DEFAULT_BYTES, PipeError, PipeReader, PipeWriter, pipe};
pub use stream::{
    ByteSink, ByteSource, Discard, NoInput, Read, SINK_DEPTH_MAX, StreamFailure, read_blocking,
    write_all_blocking,
};
pub use terminal::{
    AttachedTerminal, Controlled, KeyMeaning, KeyMode, StandardStream, Terminal, TerminalDevice,
    TerminalSize,
};
pub use tie::{Severable, TIES_MAX, Tie, TieError};
pub use virtual_terminal::{
    Control, INPUT_BYTES_MAX, KEPT_BYTES_MAX, OUTPUT_BYTES_MAX, SHOWN_BYTES_MAX, StepRefusal,
    TerminalStep, VirtualTerminal,
};
pub use wait::{wait_for, wait_until};

/// The tree of files itself, for those who fill one.
pub use lib_tmpfs as tmpfs;
