//! `wasi:io`, over streams of files, whose contents are known, and over the streams that the host gave.
//!
//! Hosts may finish writes to files later: what was written is looked at after a flush, and a stream is waited for
//! before it is read without blocking.

use wasip2::cli::stdout;
use wasip2::clocks::monotonic_clock;
use wasip2::filesystem::types::Descriptor;
use wasip2::io::poll::{self, Pollable};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::filesystem::{Scratch, text};
use crate::{Cases, IoError, IoPoll, IoStreams, say};

/// What a stream's operation answered, without the words that hosts put differently.
fn told<T: std::fmt::Debug>(answer: Result<T, StreamError>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(StreamError::Closed) => "closed".into(),
        Err(StreamError::LastOperationFailed(_)) => "failed".into(),
    }
}

/// A file in a folder of its own, with streams over it.
struct File {
    file: Descriptor,
}

impl File {
    fn new(folder: &str, contents: &[u8]) -> Self {
        Self {
            file: Scratch::new(folder).file("f", contents),
        }
    }

    fn reader(&self) -> InputStream {
        self.file
            .read_via_stream(0)
            .expect("it is open for reading")
    }

    fn writer(&self) -> OutputStream {
        self.file
            .write_via_stream(0)
            .expect("it is open for writing")
    }

    fn text(&self) -> String {
        text(&self.file)
    }
}

/// Reads without blocking, once there is something.
fn read(stream: &InputStream, len: u64) -> String {
    stream.subscribe().block();
    told(
        stream
            .read(len)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    )
}

/// A permit for so many bytes; a stream may be busy with what was written before.
fn permit(stream: &OutputStream, len: u64) {
    while stream.check_write().expect("it is open") < len {
        stream.subscribe().block();
    }
}

impl IoError for Cases {
    /// The error of a write beyond the end of what files can be.
    fn error_to_debug_string() {
        let file = File::new("to-debug-string", b"");
        let beyond = file
            .file
            .write_via_stream(u64::MAX)
            .expect("it is open for writing");
        match beyond.blocking_write_and_flush(b"x") {
            Err(StreamError::LastOperationFailed(error)) => {
                say!("says nothing", error.to_debug_string().is_empty());
            }
            other => say!("unexpected", told(other)),
        }
        say!("from then on", told(beyond.blocking_write_and_flush(b"x")));
        say!("asked for room", told(beyond.check_write().map(|_| ())));
    }
}

impl IoPoll for Cases {
    fn poll() {
        let never = monotonic_clock::subscribe_instant(u64::MAX);
        let soon = monotonic_clock::subscribe_duration(1_000_000);
        say!("the clock alone", poll::poll(&[&never, &soon, &never]));
        let file = File::new("poll", b"contents");
        let stream = file.reader();
        let readable = stream.subscribe();
        readable.block();
        let mut ready = poll::poll(&[&readable, &never, &soon, &readable]);
        ready.sort_unstable();
        say!("two kinds and one of them twice", ready);
        let many: Vec<Pollable> = (0..1000)
            .map(|_| monotonic_clock::subscribe_instant(u64::MAX))
            .collect();
        let mut all: Vec<&Pollable> = many.iter().collect();
        all.push(&soon);
        say!("the last of a thousand and one", poll::poll(&all));
    }

    fn pollable_ready() {
        let never = monotonic_clock::subscribe_instant(u64::MAX);
        say!("in the far future", never.ready());
        let output = stdout::get_stdout();
        let writable = output.subscribe();
        writable.block();
        say!("output", writable.ready());
        say!("asked again", writable.ready());
    }

    fn pollable_block() {
        let start = monotonic_clock::now();
        let soon = monotonic_clock::subscribe_instant(start + 1_000_000);
        soon.block();
        say!("waited", monotonic_clock::now() >= start + 1_000_000);
        soon.block();
        say!("returns at once when ready", soon.ready());
    }
}

impl IoStreams for Cases {
    fn input_stream_read() {
        let file = File::new("read", b"0123456789");
        let stream = file.reader();
        say!("nothing", told(stream.read(0).map(|bytes| bytes.len())));
        say!("four", read(&stream, 4));
        say!("the rest", read(&stream, 100));
        stream.subscribe().block();
        say!("the end", told(stream.read(1).map(|bytes| bytes.len())));
        say!("again", told(stream.read(1).map(|bytes| bytes.len())));
        say!(
            "nothing at the end",
            told(stream.read(0).map(|bytes| bytes.len()))
        );
        let other = file.reader();
        file.file.set_size(2).expect("cut off");
        say!("after cutting off", read(&other, 100));
    }

    fn input_stream_blocking_read() {
        let file = File::new("blocking-read", b"0123456789");
        let stream = file.reader();
        let read = |len| told(stream.blocking_read(len).map(|bytes| bytes.len()));
        say!("three", read(3));
        say!("as much as can be", read(u64::MAX));
        say!("the end", read(1));
        let large = File::new("blocking-read-large", &[7; 200_000]);
        let stream = large.reader();
        let mut sum = 0;
        while let Ok(bytes) = stream.blocking_read(u64::MAX) {
            sum += bytes.len();
        }
        say!("a large file", sum);
    }

    fn input_stream_skip() {
        let file = File::new("skip", b"0123456789");
        let stream = file.reader();
        say!("nothing", told(stream.skip(0)));
        stream.subscribe().block();
        say!("three", told(stream.skip(3)));
        say!("what follows", read(&stream, 2));
    }

    fn input_stream_blocking_skip() {
        let file = File::new("blocking-skip", b"0123456789");
        let stream = file.reader();
        say!("four", told(stream.blocking_skip(4)));
        say!("what follows", read(&stream, 2));
        say!("beyond the end", told(stream.blocking_skip(100)));
        say!("at the end", told(stream.blocking_skip(1)));
    }

    fn input_stream_subscribe() {
        let file = File::new("subscribe-input", b"x");
        let stream = file.reader();
        let readable = stream.subscribe();
        readable.block();
        say!("ready", readable.ready());
        drop(readable);
        say!(
            "one",
            told(stream.blocking_read(10).map(|bytes| bytes.len()))
        );
        let at_end = stream.subscribe();
        at_end.block();
        say!("ready at the end", at_end.ready());
    }

    fn output_stream_check_write() {
        let file = File::new("check-write", b"");
        let stream = file.writer();
        say!("room", told(stream.check_write().map(|room| room > 0)));
        permit(&stream, 4);
        say!("written", told(stream.write(b"four")));
        say!("flushed", told(stream.blocking_flush()));
        say!(
            "room again",
            told(stream.check_write().map(|room| room > 0))
        );
    }

    fn output_stream_write() {
        let file = File::new("write", b"----------");
        let stream = file.writer();
        for part in ["ab", "", "cd"] {
            permit(&stream, part.len() as u64);
            say!("written", told(stream.write(part.as_bytes())));
            say!("flushed", told(stream.blocking_flush()));
        }
        say!("the file", file.text());
    }

    fn output_stream_blocking_write_and_flush() {
        let file = File::new("blocking-write-and-flush", b"");
        let stream = file
            .file
            .write_via_stream(3)
            .expect("it is open for writing");
        say!(
            "written after a hole",
            told(stream.blocking_write_and_flush(b"ab"))
        );
        say!("nothing", told(stream.blocking_write_and_flush(b"")));
        say!(
            "the most",
            told(stream.blocking_write_and_flush(&[b'.'; 4096]))
        );
        say!("length", file.file.stat().map(|stat| stat.size).ok());
        say!("start", &file.text()[..6]);
    }

    fn output_stream_flush() {
        let file = File::new("flush", b"");
        let stream = file.writer();
        say!("nothing to flush", told(stream.flush()));
        permit(&stream, 1);
        say!("written", told(stream.write(b"x")));
        say!("asked for", told(stream.flush()));
        stream.subscribe().block();
        say!("the file", file.text());
    }

    fn output_stream_blocking_flush() {
        let file = File::new("blocking-flush", b"");
        let stream = file.writer();
        permit(&stream, 1);
        say!("written", told(stream.write(b"x")));
        say!("flushed", told(stream.blocking_flush()));
        say!("the file", file.text());
        say!("nothing to flush", told(stream.blocking_flush()));
    }

    fn output_stream_subscribe() {
        let file = File::new("subscribe-output", b"");
        let stream = file.writer();
        let writable = stream.subscribe();
        writable.block();
        say!("ready", writable.ready());
    }

    fn output_stream_write_zeroes() {
        let file = File::new("write-zeroes", b"abcdef");
        let stream = file.writer();
        permit(&stream, 3);
        say!("written", told(stream.write_zeroes(3)));
        say!("flushed", told(stream.blocking_flush()));
        say!("the file", file.text());
    }

    fn output_stream_blocking_write_zeroes_and_flush() {
        let file = File::new("blocking-write-zeroes-and-flush", b"abcdef");
        let stream = file.writer();
        say!("none", told(stream.blocking_write_zeroes_and_flush(0)));
        say!("two", told(stream.blocking_write_zeroes_and_flush(2)));
        say!("the file", file.text());
        say!(
            "the most",
            told(stream.blocking_write_zeroes_and_flush(4096))
        );
        say!("length", file.file.stat().map(|stat| stat.size).ok());
    }

    fn output_stream_splice() {
        let (from, to) = (
            File::new("splice-from", b"0123456789"),
            File::new("splice-to", b""),
        );
        let (source, target) = (from.reader(), to.writer());
        say!("nothing", told(target.splice(&source, 0)));
        source.subscribe().block();
        say!("four", told(target.splice(&source, 4)));
        say!("flushed", told(target.blocking_flush()));
        say!("the file", to.text());
    }

    fn output_stream_blocking_splice() {
        let (from, to) = (
            File::new("blocking-splice-from", b"0123456789"),
            File::new("blocking-splice-to", b""),
        );
        let (source, target) = (from.reader(), to.writer());
        say!("none", told(target.blocking_splice(&source, 0)));
        say!("four", told(target.blocking_splice(&source, 4)));
        say!("the rest", told(target.blocking_splice(&source, u64::MAX)));
        say!("the end", told(target.blocking_splice(&source, 1)));
        say!("none at the end", told(target.blocking_splice(&source, 0)));
        say!("the file", to.text());
    }
}
