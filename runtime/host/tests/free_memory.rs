//! Memory that was reserved and is not there.

use runtime_host::{check_free_memory, set_free_memory};

#[test]
fn what_there_is_no_memory_for_is_refused() {
    assert_eq!(
        check_free_memory(u64::MAX),
        Ok(()),
        "nobody has said how much there is"
    );
    set_free_memory(|| 100);
    assert_eq!(check_free_memory(100), Ok(()));
    let refused = check_free_memory(101).map_err(|over| (over.asked_bytes, over.free_bytes));
    assert_eq!(refused, Err((101, 100)));
    set_free_memory(|| 200);
    assert!(
        check_free_memory(101).is_err(),
        "only the first one is heard"
    );
}
