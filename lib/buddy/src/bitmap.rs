//! A bitmap with summary levels, kept in words that belong to somebody else.
//!
//! Level 0 holds the bits. Bit `i` of level `n + 1` is set exactly when word `i` of level `n` is not
//! zero; the last level is one word. Finding a set bit therefore reads one or two words per level:
//! log64 of the bitmap's length. All words must be zero before first use.

/// Levels that suffice for 64^7 = 2^42 bits.
const LEVELS_MAX: usize = 7;
const WORD_BITS: u64 = u64::BITS as u64;

/// Where the levels of one bitmap lie within the shared words.
#[derive(Clone, Copy)]
pub(crate) struct Bitmap {
    bits: u64,
    depth: usize,
    /// First word of each level; only the first `depth` count.
    levels: [usize; LEVELS_MAX],
}

/// Words that a bitmap of `bits` bits takes, all levels together.
pub(crate) const fn words_for(bits: u64) -> u64 {
    let mut level_words = bottom_words(bits);
    let mut total = level_words;
    while level_words > 1 {
        level_words = level_words.div_ceil(WORD_BITS);
        total += level_words;
    }
    total
}

/// Words of level 0: at least one, so that even an empty bitmap has a top word.
const fn bottom_words(bits: u64) -> u64 {
    if bits == 0 {
        1
    } else {
        bits.div_ceil(WORD_BITS)
    }
}

impl Bitmap {
    /// A bitmap without bits: nothing can be set in it.
    pub(crate) const EMPTY: Self = Self {
        bits: 0,
        depth: 0,
        levels: [0; LEVELS_MAX],
    };

    /// Lays a bitmap of `bits` bits (at most 2^42) out from word `first_word` on; it takes
    /// [`words_for`]`(bits)` words.
    pub(crate) fn new(bits: u64, first_word: usize) -> Self {
        let mut map = Self {
            bits,
            ..Self::EMPTY
        };
        let mut next_word = first_word;
        let mut level_words = bottom_words(bits);
        for level in &mut map.levels {
            *level = next_word;
            map.depth += 1;
            if level_words == 1 {
                break;
            }
            next_word += level_words as usize;
            level_words = level_words.div_ceil(WORD_BITS);
        }
        map
    }

    /// Number of bits.
    pub(crate) fn bits(&self) -> u64 {
        self.bits
    }

    /// Whether bit `index` is set; a bit past the end is not.
    pub(crate) fn contains(&self, words: &[u64], index: u64) -> bool {
        index < self.bits && words[self.word_at(0, index)] & mask(index) != 0
    }

    /// Sets bit `index`, which must lie inside.
    pub(crate) fn set(&self, words: &mut [u64], index: u64) {
        let mut index = index;
        for level in 0..self.depth {
            let word = &mut words[self.word_at(level, index)];
            let was_empty = *word == 0;
            *word |= mask(index);
            if !was_empty {
                return;
            }
            index /= WORD_BITS;
        }
    }

    /// Clears bit `index`, which must lie inside.
    pub(crate) fn clear(&self, words: &mut [u64], index: u64) {
        let mut index = index;
        for level in 0..self.depth {
            let word = &mut words[self.word_at(level, index)];
            *word &= !mask(index);
            if *word != 0 {
                return;
            }
            index /= WORD_BITS;
        }
    }

    /// The lowest set bit.
    pub(crate) fn first(&self, words: &[u64]) -> Option<u64> {
        let top = self.depth.checked_sub(1)?;
        let word = words[self.levels[top]];
        (word != 0).then(|| self.descend(words, top, lowest(word)))
    }

    /// The lowest set bit at `from` or above.
    pub(crate) fn first_from(&self, words: &[u64], from: u64) -> Option<u64> {
        if from >= self.bits {
            return None;
        }
        let mut index = from;
        for level in 0..self.depth {
            // Above level 0 the word that holds `index` was just searched: only later ones count.
            let beyond = if level == 0 {
                u64::MAX << (index % WORD_BITS)
            } else {
                above(index)
            };
            let word = words[self.word_at(level, index)] & beyond;
            if word != 0 {
                let found = index / WORD_BITS * WORD_BITS + lowest(word);
                return Some(self.descend(words, level, found));
            }
            index /= WORD_BITS;
        }
        None
    }

    /// From set bit `index` of `level` down to the lowest set bit of level 0 under it.
    fn descend(&self, words: &[u64], level: usize, index: u64) -> u64 {
        (0..level).rev().fold(index, |index, below| {
            index * WORD_BITS + lowest(words[self.levels[below] + index as usize])
        })
    }

    fn word_at(&self, level: usize, index: u64) -> usize {
        self.levels[level] + (index / WORD_BITS) as usize
    }
}

fn mask(index: u64) -> u64 {
    1 << (index % WORD_BITS)
}

/// The bits of a word strictly above bit `index`.
fn above(index: u64) -> u64 {
    (u64::MAX << (index % WORD_BITS)) & !mask(index)
}

fn lowest(word: u64) -> u64 {
    u64::from(word.trailing_zeros())
}
