//! Single directives that later versions of the standard have overturned.
//!
//! Law: a proposal's files say what was right when the proposal was young. Where one claims what another proposal has
//! changed since, the directive is taken out and the rest of the file runs. Each of them fails when it is left in: a test
//! of this crate holds them to it.

/// Directives of one file that say what is no longer so.
#[derive(Clone, Copy, Debug)]
pub struct Overturned {
    /// The file, with its group.
    pub file: &'static str,
    /// The lines on which they begin.
    pub lines: &'static [usize],
    /// What overturned them.
    pub because: &'static str,
}

const INDEX_OF_MEMORY: &str = "the byte that had to be zero is a memory's index since there may be several, \
    and may be longer than it must";
const MANY_MEMORIES: &str = "a module may have several memories";
const MANY_TABLES: &str = "a module may have several tables";
const WIDE_NUMBERS: &str = "limits of memories and offsets into them have up to 64 bits, \
    so that a sixth byte is not one too many";
const EAGER_SEGMENTS: &str =
    "segments are written one by one, those before the one that does not fit, too";
const UNREACHABLE_LABELS: &str =
    "targets of a table of branches that is never reached may differ in their types";

/// All of them.
pub const OVERTURNED: &[Overturned] = &[
    Overturned {
        file: "function-references/binary.wast",
        lines: &[145, 165, 184, 203, 242, 261, 279, 297],
        because: INDEX_OF_MEMORY,
    },
    Overturned {
        file: "memory64/binary.wast",
        lines: &[876, 896, 915, 934, 973, 992, 1010, 1028],
        because: INDEX_OF_MEMORY,
    },
    Overturned {
        file: "memory64/memory.wast",
        lines: &[10, 11],
        because: MANY_MEMORIES,
    },
    Overturned {
        file: "memory64/memory64.wast",
        lines: &[8, 9],
        because: MANY_MEMORIES,
    },
    Overturned {
        file: "multi-value/binary.wast",
        lines: &[162, 182, 201, 220, 259, 278, 296, 314],
        because: INDEX_OF_MEMORY,
    },
    Overturned {
        file: "mutable-global/linking.wast",
        lines: &[236, 248, 342, 354],
        because: EAGER_SEGMENTS,
    },
    Overturned {
        file: "reference-types/binary-leb128.wast",
        lines: &[217, 225, 404, 461],
        because: WIDE_NUMBERS,
    },
    Overturned {
        file: "reference-types/binary.wast",
        lines: &[157, 354, 362, 419],
        because: WIDE_NUMBERS,
    },
    Overturned {
        file: "reference-types/binary.wast",
        lines: &[756, 776, 795, 814, 853, 872, 890, 908],
        because: INDEX_OF_MEMORY,
    },
    Overturned {
        file: "reference-types/imports.wast",
        lines: &[416, 420, 424],
        because: MANY_MEMORIES,
    },
    Overturned {
        file: "reference-types/unreached-invalid.wast",
        lines: &[539],
        because: UNREACHABLE_LABELS,
    },
    Overturned {
        file: "threads/imports.wast",
        lines: &[309, 313, 317],
        because: MANY_TABLES,
    },
    Overturned {
        file: "threads/imports.wast",
        lines: &[404, 408, 412],
        because: MANY_MEMORIES,
    },
    Overturned {
        file: "threads/memory.wast",
        lines: &[14, 15],
        because: MANY_MEMORIES,
    },
];

/// The lines of that file's directives that are overturned.
pub fn lines(file: &str) -> Vec<usize> {
    let entries = OVERTURNED.iter().filter(|entry| entry.file == file);
    entries.flat_map(|entry| entry.lines).copied().collect()
}
