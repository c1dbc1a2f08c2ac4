//! Budgets, pipes and waiting, with real threads.

use std::thread;
use std::time::{Duration, Instant};

use runtime_host::{
    Budget, ByteSink, ByteSource, Cancellation, Cancelled, Clock, Notifier, PipeError, Read,
    StreamFailure, SystemClock, pipe, read_blocking, wait_until, write_all_blocking,
};

#[test]
fn reservations_count_against_all_ancestors_and_come_back() {
    let group = Budget::new(100);
    let (one, other) = (group.child(80), group.child(80));
    let held = one.reserve(70).unwrap();
    let refused = other.reserve(40).map(drop).unwrap_err();
    assert_eq!((refused.free_bytes, refused.limit_bytes), (30, 100));
    assert_eq!(other.used_bytes(), 0);
    assert!(one.reserve(11).is_err());
    assert!(one.reserve(u64::MAX).is_err());
    drop(held);
    assert_eq!((one.used_bytes(), group.used_bytes()), (0, 0));
    other.reserve(80).map(drop).unwrap();
}

#[test]
fn a_budget_is_never_exceeded_by_many_at_once() {
    let budget = Budget::new(1000);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for bytes in 0..5000 {
                    let held = budget.reserve(bytes % 700);
                    assert!(budget.used_bytes() <= 1000);
                    drop(held);
                }
            });
        }
    });
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn a_pipe_pays_for_its_buffer_as_long_as_an_end_is_held() {
    let budget = Budget::new(1000);
    let (reader, writer) = pipe(600, &budget).unwrap();
    let refused = pipe(600, &budget).map(drop);
    assert!(matches!(refused, Err(PipeError::OverBudget(_))));
    drop(reader);
    assert_eq!(budget.used_bytes(), 600);
    drop(writer);
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn an_end_is_gone_with_its_last_holder() {
    let (reader, writer) = pipe(10, &Budget::new(10)).unwrap();
    let another = writer.clone();
    assert_eq!(writer.write(b"last words"), Ok(10));
    drop(writer);
    let mut buffer = [0; 20];
    assert_eq!(reader.read(&mut buffer), Ok(Read::Bytes(10)));
    assert_eq!(reader.read(&mut buffer), Ok(Read::Empty));
    drop(another);
    assert_eq!(reader.read(&mut buffer), Ok(Read::End));

    let (reader, writer) = pipe(10, &Budget::new(10)).unwrap();
    drop(reader);
    assert_eq!(writer.write(b"x"), Err(StreamFailure::Closed));
    assert!(writer.is_writable());
}

#[test]
fn many_writers_and_readers_lose_nothing() {
    let (reader, writer) = pipe(7, &Budget::new(7)).unwrap();
    let total: u64 = thread::scope(|scope| {
        for _ in 0..3 {
            let writer = writer.clone();
            scope.spawn(move || {
                let never = Cancellation::new();
                for byte in 0..=255u8 {
                    let bytes = [byte; 9];
                    write_all_blocking(&writer, &bytes, &never)
                        .unwrap()
                        .unwrap();
                }
            });
        }
        drop(writer);
        let sums = [(); 3].map(|()| {
            scope.spawn(|| {
                let (mut sum, mut buffer) = (0u64, [0; 5]);
                loop {
                    match read_blocking(&reader, &mut buffer, &Cancellation::new()).unwrap() {
                        Ok(0) => return sum,
                        Ok(count) => {
                            sum += buffer[..count].iter().map(|b| u64::from(*b)).sum::<u64>()
                        }
                        Err(failure) => panic!("{failure}"),
                    }
                }
            })
        });
        sums.into_iter().map(|sum| sum.join().unwrap()).sum()
    });
    assert_eq!(total, 3 * 9 * (255 * 256 / 2));
}

#[test]
fn a_notification_between_looking_and_sleeping_is_not_lost() {
    let notifier = Notifier::new();
    notifier.notify();
    assert!(notifier.wait(None));
    assert!(!notifier.wait(Some(Duration::from_millis(5))));
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    let clock = SystemClock::new();
    let deadline_ns = clock.monotonic_ns() + 20_000_000;
    let never = Cancellation::new();
    let found = wait_until(&never, &clock, Some(deadline_ns), |_| {}, || None::<()>);
    assert_eq!(found, Ok(None));
    assert!(clock.monotonic_ns() >= deadline_ns);
}

#[test]
fn cancellation_wakes_all_and_keeps_later_waits_from_blocking() {
    let (reader, _writer) = pipe(10, &Budget::new(10)).unwrap();
    let cancellation = Cancellation::new();
    let started = Instant::now();
    thread::scope(|scope| {
        let waits = [(); 4]
            .map(|()| scope.spawn(|| read_blocking(&reader, &mut [0; 1], &cancellation).map(drop)));
        thread::sleep(Duration::from_millis(20));
        cancellation.cancel();
        for wait in waits {
            assert_eq!(wait.join().unwrap(), Err(Cancelled));
        }
    });
    let again = read_blocking(&reader, &mut [0; 1], &cancellation).map(drop);
    assert_eq!(again, Err(Cancelled));
    assert!(started.elapsed() < Duration::from_secs(5));
}
