//! `wasi:random`: lengths are as asked for, and nothing comes twice.

use wasip2::random::{insecure, insecure_seed, random};

use crate::{Cases, RandomInsecure, RandomInsecureSeed, RandomRandom, say};

const LENGTHS: [u64; 4] = [0, 1, 4097, 100_000];

fn lengths(get: fn(u64) -> Vec<u8>) {
    let found = LENGTHS.map(|len| get(len).len() as u64);
    say!("lengths", found);
    say!("twice the same", get(32) == get(32));
}

impl RandomRandom for Cases {
    fn get_random_bytes() {
        lengths(random::get_random_bytes);
    }

    fn get_random_u64() {
        say!(
            "twice the same",
            random::get_random_u64() == random::get_random_u64()
        );
    }
}

impl RandomInsecure for Cases {
    fn get_insecure_random_bytes() {
        lengths(insecure::get_insecure_random_bytes);
    }

    fn get_insecure_random_u64() {
        let twice = insecure::get_insecure_random_u64() == insecure::get_insecure_random_u64();
        say!("twice the same", twice);
    }
}

impl RandomInsecureSeed for Cases {
    fn insecure_seed() {
        let seed = insecure_seed::insecure_seed();
        say!("zero", seed == (0, 0));
        say!(
            "the same at each call",
            seed == insecure_seed::insecure_seed()
        );
    }
}
