//! Revoking while others use what was passed on, in every interleaving, by loom.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;

use lib_handle_table::{Flag, Lease};

struct Checked(AtomicBool);

impl Flag for Checked {
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A flag that says nothing about what was done before it was raised.
struct Relaxed(AtomicBool);

impl Flag for Relaxed {
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The revoker takes something away and then revokes the grant above; whoever is refused below sees it gone.
fn refused_see_why<F: Flag + Send + Sync + 'static>() {
    loom::model(|| {
        let above = Lease::<F>::new(None);
        let below = Lease::new(Some(std::sync::Arc::clone(&above)));
        let taken = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&taken);
        let user = thread::spawn(move || {
            if !below.holds() {
                assert_eq!(seen.load(Ordering::Relaxed), 1);
            }
            below
        });
        taken.store(1, Ordering::Relaxed);
        above.revoke();
        let below = user.join().expect("it ends");
        assert!(!below.holds(), "used after the revocation had returned");
    });
}

#[test]
fn whoever_is_refused_sees_what_was_done_before() {
    refused_see_why::<Checked>();
}

#[test]
#[should_panic = "assertion"]
fn a_flag_without_order_is_noticed() {
    refused_see_why::<Relaxed>();
}
