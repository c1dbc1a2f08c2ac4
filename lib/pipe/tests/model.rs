//! A pipe against a naive model: a queue of bytes and two flags.

use lib_pipe::{Broken, Pipe, Read};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Debug, Clone)]
enum Step {
    Read(usize),
    Write(Vec<u8>),
    CloseReader,
    CloseWriter,
    DropThroughLast(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..20).prop_map(Step::Read),
        8 => prop::collection::vec(0u8..16, 0..20).prop_map(Step::Write),
        1 => Just(Step::CloseReader),
        1 => Just(Step::CloseWriter),
        2 => (0u8..16).prop_map(Step::DropThroughLast),
    ]
}

struct Model {
    held: VecDeque<u8>,
    capacity: usize,
    reader_open: bool,
    writer_open: bool,
}

impl Model {
    fn read(&mut self, want: usize) -> (Read, Vec<u8>) {
        let count = want.min(self.held.len());
        let bytes: Vec<u8> = self.held.drain(..count).collect();
        let answer = if count > 0 || !self.held.is_empty() {
            Read::Bytes(count)
        } else if self.writer_open {
            Read::Empty
        } else {
            Read::End
        };
        (answer, bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        if !self.reader_open {
            return Err(Broken);
        }
        let count = bytes.len().min(self.capacity - self.held.len());
        self.held.extend(&bytes[..count]);
        Ok(count)
    }
}

proptest! {
    #[test]
    fn behaves_like_a_queue(capacity in 1usize..16, steps in prop::collection::vec(step(), 0..200)) {
        let mut pipe = Pipe::new(capacity).unwrap();
        let mut model = Model { held: VecDeque::new(), capacity, reader_open: true, writer_open: true };
        for step in steps {
            match step {
                Step::Read(want) => {
                    let mut buffer = vec![0; want];
                    let answer = pipe.read(&mut buffer);
                    let (expected, bytes) = model.read(want);
                    prop_assert_eq!(answer, expected);
                    prop_assert_eq!(&buffer[..bytes.len()], &bytes[..]);
                }
                Step::DropThroughLast(byte) => {
                    let last = model.held.iter().rposition(|held| *held == byte);
                    last.into_iter().for_each(|last| drop(model.held.drain(..=last)));
                    prop_assert_eq!(pipe.drop_through_last(byte), last.is_some());
                }
                Step::Write(bytes) => prop_assert_eq!(pipe.write(&bytes), model.write(&bytes)),
                Step::CloseReader => {
                    pipe.close_reader();
                    model.reader_open = false;
                    model.held.clear();
                }
                Step::CloseWriter => {
                    pipe.close_writer();
                    model.writer_open = false;
                }
            }
            let room = model.reader_open.then(|| capacity - model.held.len()).ok_or(Broken);
            prop_assert_eq!(pipe.room_bytes(), room);
            prop_assert_eq!(pipe.is_readable(), !model.held.is_empty() || !model.writer_open);
            prop_assert_eq!(pipe.is_writable(), room != Ok(0));
        }
    }
}

#[test]
fn an_absurd_capacity_is_refused_as_a_value() {
    assert!(Pipe::new(usize::MAX).is_err());
}
