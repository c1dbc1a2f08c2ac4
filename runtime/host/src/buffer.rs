//! Memory that one process fills and another looks at, without a copy in between.
//!
//! At any time a [`Buffer`]'s bytes are in one place: with its owner, or with the holder of the [`Loan`] that the owner handed out.
//! So neither ever sees the other change them. They are charged to the owner's budget until both are dropped. A loan that is dropped,
//! by a holder that dies too, is back with the owner; so is one that is cut off from its holder ([`crate::Tie`]).
//!
//! All of a buffer can also be looked at without a copy ([`Buffer::read_part`] with all of it): whoever does so while the bytes are
//! changed keeps what was there, in a copy that is nobody's to pay for. So only the host does that, between two steps of one
//! process.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    Awaited, Budget, Notifier, OverBudget, Reservation, Severable, Subscribers, Tie,
    check_free_memory,
};

/// A buffer, as its owner has it.
pub struct Buffer(Arc<Home>);

/// A buffer that was handed over. Dropping it gives it back.
pub struct Loan {
    home: Arc<Home>,
    bytes: Bytes,
    access: Access,
}

/// All bytes of a buffer. Shared only while the host passes them on to the process that reads them.
type Bytes = Arc<Vec<u8>>;

/// A loan as it is held and passed on. Clones are the same loan, for the time of a call.
#[derive(Clone)]
pub struct HeldLoan(Arc<Held>);

struct Held {
    len_bytes: usize,
    /// Nothing once it was cut off.
    loan: Mutex<Option<Loan>>,
}

/// Bytes that were read: without a copy, if they are all that there are.
pub enum Part {
    /// All of them.
    All(Arc<Vec<u8>>),
    /// Some.
    Some(Vec<u8>),
}

/// What a holder may do with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look at it.
    Read,
    /// Fill it.
    Write,
}

/// Why a buffer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferError {
    /// The budget does not allow it.
    OverBudget(OverBudget),
    /// The allocator has no room for it.
    OutOfMemory {
        /// What was asked for.
        len_bytes: usize,
    },
    /// Its owner has handed it over.
    HandedOver,
    /// It is shorter.
    OutOfBounds {
        /// How long it is.
        len_bytes: usize,
    },
    /// Its holder may only look at it.
    ReadOnly,
    /// The permission by which its holder had it was taken back.
    Revoked,
}

struct Home {
    /// Nothing while it is handed over.
    bytes: Mutex<Option<Bytes>>,
    returned: Subscribers,
    len_bytes: usize,
    /// Pays for the bytes, wherever they are.
    _held: Reservation,
}

impl Buffer {
    /// A buffer of zeroes.
    pub fn new(len_bytes: usize, budget: &Budget) -> Result<Self, BufferError> {
        let held = budget
            .reserve(len_bytes as u64)
            .map_err(BufferError::OverBudget)?;
        // Zeroes are written now.
        check_free_memory(len_bytes as u64).map_err(BufferError::OverBudget)?;
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(len_bytes)
            .map_err(|_| BufferError::OutOfMemory { len_bytes })?;
        bytes.resize(len_bytes, 0);
        Ok(Self(Arc::new(Home {
            bytes: Mutex::new(Some(Arc::new(bytes))),
            returned: Subscribers::new(),
            len_bytes,
            _held: held,
        })))
    }

    /// How long it is.
    pub fn len_bytes(&self) -> usize {
        self.0.len_bytes
    }

    /// Copies `bytes` to `offset`.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), BufferError> {
        let mut here = self.0.lock();
        let here = here.as_mut().ok_or(BufferError::HandedOver)?;
        write_at(own(here), offset, bytes)
    }

    /// Has all of it changed where it lies.
    pub fn change<R>(&self, change: impl FnOnce(&mut [u8]) -> R) -> Result<R, BufferError> {
        let mut here = self.0.lock();
        let here = here.as_mut().ok_or(BufferError::HandedOver)?;
        Ok(change(own(here)))
    }

    /// What is at `offset`, of that length.
    pub fn read_part(&self, offset: usize, len_bytes: usize) -> Result<Part, BufferError> {
        let here = self.0.lock();
        part_of(
            here.as_ref().ok_or(BufferError::HandedOver)?,
            offset,
            len_bytes,
        )
    }

    /// Copies what is at `offset` to all of `bytes`.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), BufferError> {
        let here = self.0.lock();
        let here = here.as_ref().ok_or(BufferError::HandedOver)?;
        read_at(here, offset, bytes)
    }

    /// Hands it over until the loan is dropped.
    pub fn hand_over(&self, access: Access) -> Result<Loan, BufferError> {
        let bytes = self.0.lock().take().ok_or(BufferError::HandedOver)?;
        let home = Arc::clone(&self.0);
        Ok(Loan {
            home,
            bytes,
            access,
        })
    }
}

/// Happens when it is with its owner.
impl Awaited for Buffer {
    fn is_ready(&self) -> bool {
        self.0.lock().is_some()
    }

    fn subscribe(&self, notifier: &Notifier) {
        self.0.returned.add(notifier);
    }
}

impl Loan {
    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All of it, to be filled.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8], BufferError> {
        match self.access {
            Access::Write => Ok(own(&mut self.bytes)),
            Access::Read => Err(BufferError::ReadOnly),
        }
    }

    /// What is at `offset`, of that length.
    pub fn read_part(&self, offset: usize, len_bytes: usize) -> Result<Part, BufferError> {
        part_of(&self.bytes, offset, len_bytes)
    }

    /// What its holder may do with it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Copies `bytes` to `offset`.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), BufferError> {
        write_at(self.bytes_mut()?, offset, bytes)
    }

    /// Copies what is at `offset` to all of `bytes`.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), BufferError> {
        read_at(&self.bytes, offset, bytes)
    }
}

impl HeldLoan {
    /// The loan as it is held.
    pub fn new(loan: Loan) -> Self {
        Self(Arc::new(Held {
            len_bytes: loan.bytes().len(),
            loan: Mutex::new(Some(loan)),
        }))
    }

    /// How long it is, or was.
    pub fn len_bytes(&self) -> usize {
        self.0.len_bytes
    }

    /// Has the loan used, which is not cut off until that is done.
    pub fn with<R>(
        &self,
        operation: impl FnOnce(&mut Loan) -> Result<R, BufferError>,
    ) -> Result<R, BufferError> {
        let mut loan = self.0.lock();
        operation(loan.as_mut().ok_or(BufferError::Revoked)?)
    }

    /// Has it cut off from whoever holds it when `tie` is cut.
    pub fn hang_on(&self, tie: &Tie) {
        tie.hang(&self.0);
    }
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, Option<Loan>> {
        self.loan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Severable for Held {
    fn sever(&self) {
        let given_back = self.lock().take();
        drop(given_back);
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        *self.home.lock() = Some(std::mem::take(&mut self.bytes));
        self.home.returned.notify_all();
    }
}

impl Home {
    fn lock(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes to be changed: what somebody still looks at stays theirs.
fn own(bytes: &mut Bytes) -> &mut [u8] {
    Arc::make_mut(bytes).as_mut_slice()
}

fn part_of(all: &Bytes, offset: usize, len_bytes: usize) -> Result<Part, BufferError> {
    if offset == 0 && len_bytes == all.len() {
        return Ok(Part::All(Arc::clone(all)));
    }
    let part = all.get(offset..).and_then(|rest| rest.get(..len_bytes));
    let part = part.ok_or(BufferError::OutOfBounds {
        len_bytes: all.len(),
    })?;
    Ok(Part::Some(part.to_vec()))
}

fn write_at(all: &mut [u8], offset: usize, bytes: &[u8]) -> Result<(), BufferError> {
    let len_bytes = all.len();
    let place = all
        .get_mut(offset..)
        .and_then(|rest| rest.get_mut(..bytes.len()));
    let place = place.ok_or(BufferError::OutOfBounds { len_bytes })?;
    place.copy_from_slice(bytes);
    Ok(())
}

fn read_at(all: &[u8], offset: usize, bytes: &mut [u8]) -> Result<(), BufferError> {
    let len_bytes = all.len();
    let place = all.get(offset..).and_then(|rest| rest.get(..bytes.len()));
    bytes.copy_from_slice(place.ok_or(BufferError::OutOfBounds { len_bytes })?);
    Ok(())
}

impl fmt::Display for BufferError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OverBudget(over) => write!(out, "no buffer can be made: {over}"),
            Self::OutOfMemory { len_bytes } => {
                write!(
                    out,
                    "the host has no room for a buffer of {len_bytes} bytes"
                )
            }
            Self::HandedOver => {
                out.write_str("the process has handed its buffer over, and has not got it back yet")
            }
            Self::OutOfBounds { len_bytes } => {
                write!(
                    out,
                    "the process looks beyond the {len_bytes} bytes of a buffer"
                )
            }
            Self::ReadOnly => {
                out.write_str("the process may only look at the buffer that it was handed")
            }
            Self::Revoked => {
                out.write_str("the permission by which the process had the buffer was taken back")
            }
        }
    }
}

impl std::error::Error for BufferError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(len_bytes: usize) -> Buffer {
        Buffer::new(len_bytes, &Budget::new(1 << 20)).expect("it can be paid for")
    }

    #[test]
    fn all_of_it_is_read_without_a_copy_and_does_not_change_for_whoever_reads() {
        let buffer = buffer(3);
        let (Ok(Part::All(first)), Ok(Part::All(second))) =
            (buffer.read_part(0, 3), buffer.read_part(0, 3))
        else {
            panic!("all of it was asked for");
        };
        assert!(Arc::ptr_eq(&first, &second));
        buffer.write(1, &[9]).expect("it is here");
        assert_eq!(*first, [0, 0, 0]);
        assert!(matches!(buffer.read_part(0, 3), Ok(Part::All(now)) if *now == [0, 9, 0]));
        assert!(matches!(buffer.read_part(1, 1), Ok(Part::Some(part)) if part == [9]));
    }

    #[test]
    fn parts_that_lie_outside_are_refused() {
        let loan = buffer(3).hand_over(Access::Read).expect("it is here");
        for (offset, len_bytes) in [(0, 4), (3, 1), (4, 0), (usize::MAX, 1), (1, usize::MAX)] {
            let refused = loan.read_part(offset, len_bytes);
            let expected = BufferError::OutOfBounds { len_bytes: 3 };
            assert_eq!(refused.map(|_| ()), Err(expected), "{offset} {len_bytes}");
        }
    }

    #[test]
    fn a_loan_that_is_cut_off_is_back_at_once() {
        let buffer = buffer(3);
        let held = HeldLoan::new(buffer.hand_over(Access::Write).expect("it is here"));
        let tie = Tie::new();
        // It goes to and fro.
        held.hang_on(&tie);
        held.hang_on(&tie);
        held.with(|loan| loan.write(0, &[5])).expect("it may");
        assert_eq!(buffer.read(0, &mut [0]), Err(BufferError::HandedOver));
        tie.cut();
        assert!(matches!(buffer.read_part(0, 1), Ok(Part::Some(part)) if part == [5]));
        assert_eq!(held.len_bytes(), 3);
        let refused = held.with(|loan| loan.write(0, &[6]));
        assert_eq!(refused, Err(BufferError::Revoked));
        let late = HeldLoan::new(buffer.hand_over(Access::Read).expect("it is here"));
        late.hang_on(&tie);
        assert_eq!(buffer.change(|bytes| bytes[0]), Ok(5));
    }
}
