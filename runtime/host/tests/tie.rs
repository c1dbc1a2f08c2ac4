//! What hangs on a tie is cut off with it, whoever holds it and waits for it.

use std::sync::Arc;
use std::thread;

use runtime_host::{
    Budget, ByteSink, ByteSource, Cancellation, Discard, MeteredSink, NoInput, Notifier,
    PipeReader, PipeWriter, Read, SINK_DEPTH_MAX, StreamFailure, TIES_MAX, Tie, TieError, pipe,
    read_blocking, write_all_blocking,
};

const PIPE_BYTES: usize = 8;

fn ends(budget: &Budget) -> (PipeReader, PipeWriter) {
    pipe(PIPE_BYTES, budget).expect("there is room")
}

fn source(tie: &Tie, source: impl ByteSource + 'static, budget: &Budget) -> Arc<dyn ByteSource> {
    let hung = tie.source(Arc::new(source), budget);
    hung.expect("it can be paid for")
}

fn sink(tie: &Tie, sink: impl ByteSink + 'static, budget: &Budget) -> Arc<dyn ByteSink> {
    tie.sink(Arc::new(sink), budget)
        .expect("it can be paid for")
}

fn is_taken_back<R>(answer: Result<R, StreamFailure>) -> bool {
    matches!(answer, Err(StreamFailure::Failed(why)) if why.contains("was taken back"))
}

#[test]
fn until_it_is_cut_a_stream_is_what_it_was() {
    let budget = Budget::new(1 << 20);
    let tie = Tie::new();
    let (reader, writer) = ends(&budget);
    let (reader, writer) = (source(&tie, reader, &budget), sink(&tie, writer, &budget));
    assert!(!reader.is_readable() && writer.is_writable());
    assert_eq!(writer.write(b"0123456789"), Ok(PIPE_BYTES));
    assert_eq!(writer.room_bytes(), Ok(0));
    let mut bytes = [0; 3];
    assert_eq!(reader.read(&mut bytes), Ok(Read::Bytes(3)));
    assert_eq!(&bytes, b"012");
    drop(writer);
    assert_eq!(reader.read(&mut [0; 8]), Ok(Read::Bytes(5)));
    assert_eq!(reader.read(&mut bytes), Ok(Read::End));
    drop(reader);
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn who_reads_gets_no_byte_more_and_the_other_end_is_closed() {
    let budget = Budget::new(1 << 20);
    let tie = Tie::new();
    let (reader, writer) = ends(&budget);
    let reader = source(&tie, reader, &budget);
    writer.write(b"unread").expect("there is room");
    tie.cut();
    assert!(reader.is_readable() && is_taken_back(reader.read(&mut [0; 8])));
    assert_eq!(writer.write(b"more"), Err(StreamFailure::Closed));
}

#[test]
fn who_writes_puts_nothing_in_any_more_and_the_other_end_is_at_its_end() {
    let budget = Budget::new(1 << 20);
    let tie = Tie::new();
    let (reader, writer) = ends(&budget);
    let writer = sink(&tie, writer, &budget);
    writer.write(b"before").expect("there is room");
    tie.cut();
    assert!(writer.is_writable() && is_taken_back(writer.write(b"x")));
    assert!(is_taken_back(writer.room_bytes()));
    let mut bytes = [0; 8];
    assert_eq!(reader.read(&mut bytes), Ok(Read::Bytes(6)));
    assert_eq!(reader.read(&mut bytes), Ok(Read::End));
}

#[test]
fn whoever_waits_wakes() {
    let budget = Budget::new(1 << 20);
    let tie = Tie::new();
    let (reader, _writer) = ends(&budget);
    let (_reader, writer) = ends(&budget);
    let (reader, writer) = (source(&tie, reader, &budget), sink(&tie, writer, &budget));
    let subscribed = [Notifier::new(), Notifier::new()];
    reader.subscribe(&subscribed[0]);
    writer.subscribe(&subscribed[1]);
    let reading = thread::spawn(move || {
        let read = read_blocking(&*reader, &mut [0; 8], &Cancellation::new());
        is_taken_back(read.expect("nobody cancels it"))
    });
    let writing = thread::spawn(move || {
        let written = write_all_blocking(&*writer, &[0; 100], &Cancellation::new());
        is_taken_back(written.expect("nobody cancels it"))
    });
    tie.cut();
    assert!(reading.join().expect("it ends") && writing.join().expect("it ends"));
    assert!(subscribed.iter().all(|notifier| notifier.wait(None)));
}

#[test]
fn what_is_hung_on_it_too_late_is_cut_off_at_once() {
    let budget = Budget::new(1 << 20);
    let tie = Tie::new();
    tie.cut();
    let (reader, writer) = ends(&budget);
    let reader = source(&tie, reader, &budget);
    assert!(is_taken_back(reader.read(&mut [0; 8])));
    assert_eq!(writer.write(b"more"), Err(StreamFailure::Closed));
}

/// Those who have it from before the tie lose nothing; those who have it over another tie as well do.
#[test]
fn it_is_cut_off_from_those_behind_the_tie() {
    let budget = Budget::new(1 << 20);
    let ties = [Tie::new(), Tie::new()];
    let (reader, writer) = ends(&budget);
    let first = source(&ties[0], reader, &budget);
    let second = ties[1].source(Arc::clone(&first), &budget);
    let second = second.expect("it can be paid for");
    writer.write(b"ab").expect("there is room");
    ties[1].cut();
    assert!(is_taken_back(second.read(&mut [0; 1])));
    assert_eq!(first.read(&mut [0; 1]), Ok(Read::Bytes(1)));
    ties[0].cut();
    assert!(is_taken_back(first.read(&mut [0; 1])));
    assert_eq!(writer.write(b"c"), Err(StreamFailure::Closed));
}

#[test]
fn a_stream_hangs_on_a_tie_once_and_on_a_bounded_number() {
    let budget = Budget::new(1 << 20);
    let ties: Vec<Tie> = (0..TIES_MAX).map(|_| Tie::new()).collect();
    let mut stream: Arc<dyn ByteSource> = Arc::new(NoInput);
    for _ in 0..3 {
        for tie in &ties {
            stream = tie.source(stream, &budget).expect("it hangs on few");
        }
    }
    assert_eq!(stream.ties().len(), TIES_MAX);
    let used_bytes = budget.used_bytes();
    let refused = Tie::new().source(stream, &budget);
    assert_eq!(refused.err(), Some(TieError::TooMany));
    assert!(used_bytes > 0);
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn who_cannot_pay_hangs_nothing() {
    let budget = Budget::new(10);
    let refused = Tie::new().sink(Arc::new(runtime_host::Discard), &budget);
    assert!(matches!(refused.err(), Some(TieError::OverBudget(_))));
}

/// Neither kind hides the other, and both together have an end: each write goes through all of them on one stack.
#[test]
fn what_is_counted_and_hung_in_turns_hangs_once_and_is_refused_some_time() {
    let budget = Budget::new(1 << 20);
    let count = |sink| MeteredSink::new(sink, Budget::new(9), Arc::new(|| {}));
    let tie = Tie::new();
    let mut to_and_fro: Arc<dyn ByteSink> = Arc::new(Discard);
    for _ in 0..SINK_DEPTH_MAX - 1 {
        let hung = tie.sink(to_and_fro, &budget).expect("once");
        to_and_fro = Arc::new(count(hung).expect("it is not that deep"));
    }
    assert!(to_and_fro.ties() == [tie]);
    let mut deeper = to_and_fro;
    let refused = (0..2).find_map(|_| match Tie::new().sink(Arc::clone(&deeper), &budget) {
        Ok(hung) => {
            deeper = hung;
            None
        }
        Err(error) => Some(error),
    });
    assert_eq!(refused, Some(TieError::TooMany));
    assert!(count(deeper).is_none());
}
