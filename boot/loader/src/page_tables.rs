//! Page tables for the hand-over: four levels, pages of 4 KiB and 2 MiB.
//!
//! Law: tables come from one array that the caller supplies and whose physical address it states, so a
//! table is found by arithmetic and nothing here is unsafe. No page is ever writable and executable;
//! no page is mapped twice. Global pages and caching bits are not used: the kernel makes its own tables.
//!
//! Source: Intel SDM, volume 3, section 5.5 (four-level paging).

use core::fmt;

/// Length of a small page in bytes.
pub const PAGE_LEN_BYTES: u64 = 4096;
/// Length of a large page in bytes.
pub const LARGE_PAGE_LEN_BYTES: u64 = 2 << 20;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Which bit of an address the index of a table starts at, from the top level down.
const LEVEL_SHIFTS: [u32; 4] = [39, 30, 21, 12];

/// One table: 512 entries, on a page of its own.
#[repr(C, align(4096))]
#[derive(Clone, Debug)]
pub struct Table([u64; 512]);

impl Table {
    /// A table that maps nothing.
    pub const EMPTY: Self = Self([0; 512]);

    /// Its entries, as the CPU reads them.
    pub fn entries(&self) -> &[u64; 512] {
        &self.0
    }
}

/// What a page may be used for, besides being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Nothing.
    Read,
    /// Writing.
    Write,
    /// Executing.
    Execute,
}

impl Rights {
    fn bits(self) -> u64 {
        match self {
            Self::Read => NO_EXECUTE,
            Self::Write => NO_EXECUTE | WRITABLE,
            Self::Execute => 0,
        }
    }
}

/// Why something cannot be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// The array of tables is used up.
    OutOfTables,
    /// An address or a length is not a multiple of the page's length.
    NotAligned,
    /// The address is mapped already.
    AlreadyMapped {
        /// The virtual address.
        virt: u64,
    },
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTables => write!(f, "there are too few of them"),
            Self::NotAligned => write!(f, "something does not start on a page"),
            Self::AlreadyMapped { virt } => write!(f, "address {virt:#x} would be mapped twice"),
        }
    }
}

/// A hierarchy of tables under construction.
#[derive(Debug)]
pub struct PageTables<'t> {
    tables: &'t mut [Table],
    used: usize,
    phys_start: u64,
}

impl<'t> PageTables<'t> {
    /// Starts with an empty top-level table. `tables` must be empty ones; they lie at the physical
    /// address `phys_start`.
    ///
    /// # Errors
    /// [`MapError::OutOfTables`] if there is none.
    pub fn new(tables: &'t mut [Table], phys_start: u64) -> Result<Self, MapError> {
        let mut this = Self {
            tables,
            used: 0,
            phys_start,
        };
        this.take_table()?;
        Ok(this)
    }

    /// Physical address of the top-level table: for CR3.
    pub fn root(&self) -> u64 {
        self.phys_start
    }

    /// Maps `len_bytes` at `virt` to `phys` by small pages.
    ///
    /// # Errors
    /// All of [`MapError`]; then a part may be mapped.
    pub fn map(
        &mut self,
        virt: u64,
        phys: u64,
        len_bytes: u64,
        rights: Rights,
    ) -> Result<(), MapError> {
        self.map_by(
            PAGE_LEN_BYTES,
            &LEVEL_SHIFTS,
            virt,
            phys,
            len_bytes,
            rights.bits(),
        )
    }

    /// Maps `len_bytes` at `virt` to `phys` by large pages.
    ///
    /// # Errors
    /// All of [`MapError`]; then a part may be mapped.
    pub fn map_large(
        &mut self,
        virt: u64,
        phys: u64,
        len_bytes: u64,
        rights: Rights,
    ) -> Result<(), MapError> {
        let bits = rights.bits() | LARGE;
        self.map_by(
            LARGE_PAGE_LEN_BYTES,
            &LEVEL_SHIFTS[..3],
            virt,
            phys,
            len_bytes,
            bits,
        )
    }

    fn map_by(
        &mut self,
        page_len: u64,
        shifts: &[u32],
        virt: u64,
        phys: u64,
        len_bytes: u64,
        bits: u64,
    ) -> Result<(), MapError> {
        if [virt, phys, len_bytes]
            .iter()
            .any(|value| !value.is_multiple_of(page_len))
        {
            return Err(MapError::NotAligned);
        }
        for page in 0..len_bytes / page_len {
            let offset = page * page_len;
            self.map_page(shifts, virt + offset, (phys + offset) | bits | PRESENT)?;
        }
        Ok(())
    }

    fn map_page(&mut self, shifts: &[u32], virt: u64, entry: u64) -> Result<(), MapError> {
        let mut table = 0;
        let Some((last, above)) = shifts.split_last() else {
            return Err(MapError::NotAligned);
        };
        for shift in above {
            table = self.table_below(table, index(virt, *shift), virt)?;
        }
        let slot = &mut self.tables[table].0[index(virt, *last)];
        if *slot != 0 {
            return Err(MapError::AlreadyMapped { virt });
        }
        *slot = entry;
        Ok(())
    }

    /// The number of the table under entry `slot` of `table`, made if there is none.
    fn table_below(&mut self, table: usize, slot: usize, virt: u64) -> Result<usize, MapError> {
        let entry = self.tables[table].0[slot];
        if entry & LARGE != 0 {
            return Err(MapError::AlreadyMapped { virt });
        }
        if entry != 0 {
            return Ok((((entry & ADDRESS) - self.phys_start) / PAGE_LEN_BYTES) as usize);
        }
        let below = self.take_table()?;
        let address = self.phys_start + below as u64 * PAGE_LEN_BYTES;
        // Rights are the pages': a table above them allows everything.
        self.tables[table].0[slot] = address | WRITABLE | PRESENT;
        Ok(below)
    }

    fn take_table(&mut self) -> Result<usize, MapError> {
        if self.used == self.tables.len() {
            return Err(MapError::OutOfTables);
        }
        self.used += 1;
        Ok(self.used - 1)
    }
}

fn index(virt: u64, shift: u32) -> usize {
    (virt >> shift) as usize & 511
}

/// Enough tables for a top level, `large_len_bytes` in one piece by large pages, and one piece by small
/// pages for each of `small_lens_bytes`, wherever they lie.
pub fn tables_needed(large_len_bytes: u64, small_lens_bytes: &[u64]) -> usize {
    // A piece of n times a table's reach touches at most n + 1 tables, rounded up.
    let touched = |len: u64, level: usize| (len >> LEVEL_SHIFTS[level]) as usize + 2;
    let small = |len: &u64| touched(*len, 0) + touched(*len, 1) + touched(*len, 2);
    let large = touched(large_len_bytes, 0) + touched(large_len_bytes, 1);
    1 + large + small_lens_bytes.iter().map(small).sum::<usize>()
}
