//! The bytes of each case: a seed as it is kept, or one that was mutated.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// One whose numbers this seed decides.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[0]
    }
}

/// One case in so many begins with nothing instead of with a seed.
const ANEW_ONE_IN: usize = 4;
/// Mutations of one case, at most.
const MUTATIONS_MAX: usize = 12;
/// Bytes that are often special: ends of ranges, brackets, slashes, escapes.
const SPECIAL: [u8; 16] = *b"\0\x01\x7f\x80\xff\x1b[]/.$({\"'\n";

/// The bytes of case `number` of the target called `name`.
pub fn bytes(
    seed: u64,
    name: &str,
    number: u64,
    kept: &[Vec<u8>],
    len_bytes_max: usize,
) -> Vec<u8> {
    let kept_case = usize::try_from(number)
        .ok()
        .and_then(|index| kept.get(index));
    let mut bytes = match kept_case {
        Some(kept) => kept.clone(),
        None => made(
            &mut Random::new(mixed(seed, name, number)),
            kept,
            len_bytes_max,
        ),
    };
    bytes.truncate(len_bytes_max);
    bytes
}

/// One number out of three (FNV-1a over all of their bytes).
fn mixed(seed: u64, name: &str, number: u64) -> u64 {
    let all = seed
        .to_le_bytes()
        .into_iter()
        .chain(name.bytes())
        .chain(number.to_le_bytes());
    all.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn made(random: &mut Random, kept: &[Vec<u8>], len_bytes_max: usize) -> Vec<u8> {
    if kept.is_empty() || random.below(ANEW_ONE_IN) == 0 {
        // Short ones are as likely as long ones.
        let len_bytes = len_bytes_max >> random.below(8);
        return (0..random.below(len_bytes + 1))
            .map(|_| random.byte())
            .collect();
    }
    let mut bytes = kept[random.below(kept.len())].clone();
    for _ in 0..=random.below(MUTATIONS_MAX) {
        mutate(random, &mut bytes, kept);
    }
    bytes
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>, kept: &[Vec<u8>]) {
    let at = random.below(bytes.len() + 1);
    match random.below(8) {
        0 => bytes.insert(at, random.byte()),
        1 => bytes.insert(at, SPECIAL[random.below(SPECIAL.len())]),
        2 => drop(bytes.drain(at..(at + random.below(9)).min(bytes.len()))),
        3 => {
            let copied = some_of(random, bytes).to_vec();
            drop(bytes.splice(at..at, copied));
        }
        4 => {
            let other = random.below(kept.len());
            let copied = some_of(random, &kept[other]).to_vec();
            drop(bytes.splice(at..at, copied));
        }
        5 => bytes.truncate(at),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = changed(random, *byte);
            }
        }
    }
}

fn changed(random: &mut Random, byte: u8) -> u8 {
    match random.below(4) {
        0 => byte ^ 1 << random.below(8),
        1 => byte.wrapping_add(1),
        2 => SPECIAL[random.below(SPECIAL.len())],
        _ => random.byte(),
    }
}

/// Up to 32 bytes of it.
fn some_of<'a>(random: &mut Random, bytes: &'a [u8]) -> &'a [u8] {
    let start = random.below(bytes.len() + 1);
    let end = (start + random.below(33)).min(bytes.len());
    &bytes[start..end]
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn a_case_is_the_same_whenever_it_is_made() {
        let kept = [b"one".to_vec(), b"another seed".to_vec()];
        let case = |seed, name, number| bytes(seed, name, number, &kept, 64);
        for number in 0..200 {
            assert_eq!(case(5, "a", number), case(5, "a", number));
            assert!(case(5, "a", number).len() <= 64);
        }
        assert_eq!(case(5, "a", 1), b"another seed");
        let different = |other: &dyn Fn(u64) -> Vec<u8>| {
            (2..100)
                .filter(|&number| other(number) != case(5, "a", number))
                .count()
        };
        assert!(different(&|number| case(6, "a", number)) > 80);
        assert!(different(&|number| case(5, "b", number)) > 80);
    }
}
