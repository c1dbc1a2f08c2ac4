//! Where a test's chance comes from.

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
pub fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
