//! The two halves against each other, and the decoder against the world.

extern crate std;

use std::string::String;
use std::vec::Vec;

use contract_host_link::{HEADER_LEN_BYTES, PAYLOAD_LEN_BYTES_MAX, from_guest, from_host};
use proptest::prelude::*;

use crate::{
    DecodeError, Decoder, EncodeError, Message, Stream, TreeEntry, TreeKind, encode_bytes,
};

/// What a decoder says about `bytes` received in pieces of `piece_len_bytes`, as text.
fn decode(bytes: &[u8], piece_len_bytes: usize) -> Vec<String> {
    let mut decoder = Decoder::new();
    let mut heard = Vec::new();
    for piece in bytes.chunks(piece_len_bytes) {
        decoder.feed(piece, |result| heard.push(std::format!("{result:?}")));
    }
    heard
}

fn expected(messages: &[Message<'_>]) -> Vec<String> {
    messages
        .iter()
        .map(|message| std::format!("{:?}", Ok::<_, DecodeError>(*message)))
        .collect()
}

fn encode(messages: &[Message<'_>]) -> Vec<u8> {
    let mut frames = Vec::new();
    for message in messages {
        message.encode(&mut frames).expect("the message fits");
    }
    frames
}

fn entry<'a>(path: &'a str, kind: TreeKind<'a>) -> Message<'a> {
    Message::TreeEntry(TreeEntry {
        path,
        modified_ns: 1_700_000_000_123_456_789,
        kind,
    })
}

fn one_of_each() -> Vec<Message<'static>> {
    let file = TreeKind::File {
        len_bytes: u64::MAX,
        executable: true,
    };
    std::vec![
        Message::Hello { version: 1 },
        Message::Stdout(b"out\xA6"),
        Message::Stderr(b""),
        Message::StdinCredit { len_bytes: 4096 },
        Message::Text("why, in a sentence: \u{e9}"),
        entry("/", TreeKind::Directory),
        entry("/a/b", file),
        Message::TreeData(&[0xA6; 300]),
        entry("/l", TreeKind::SymbolicLink { target: "../x" }),
        Message::TreeEnd { entries: 3 },
        Message::RecordingData(b"{}"),
        Message::RecordingEnd { len_bytes: 1 << 40 },
        Message::Exit { code: -1 },
        Message::Stdin(b"in"),
        Message::StdinEnd,
        Message::Kill,
    ]
}

#[test]
fn every_message_survives_whatever_the_pieces() {
    let messages = one_of_each();
    let frames = encode(&messages);
    for piece_len_bytes in [1, 2, 7, 64, frames.len()] {
        assert_eq!(decode(&frames, piece_len_bytes), expected(&messages));
    }
}

#[test]
fn long_streams_are_cut_into_frames() {
    let bytes: Vec<u8> = (0..PAYLOAD_LEN_BYTES_MAX * 2 + 1)
        .map(|i| i as u8)
        .collect();
    let mut frames = Vec::new();
    encode_bytes(Stream::Stdout, &bytes, &mut frames);
    assert_eq!(frames.len(), bytes.len() + 3 * HEADER_LEN_BYTES);
    let mut received = Vec::new();
    Decoder::new().feed(&frames, |message| match message {
        Ok(Message::Stdout(part)) => received.extend_from_slice(part),
        other => panic!("unexpected {other:?}"),
    });
    assert_eq!(received, bytes);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing_behind() {
    let mut frames = Vec::new();
    let long = std::vec![0; PAYLOAD_LEN_BYTES_MAX + 1];
    assert_eq!(
        Message::Stdin(&long).encode(&mut frames),
        Err(EncodeError::TooLong)
    );
    for path in ["", "a", "/a/../b", &"/a".repeat(2049)] {
        let refused = entry(path, TreeKind::Directory).encode(&mut frames);
        assert_eq!(refused, Err(EncodeError::Path), "{path}");
    }
    let empty = entry("/l", TreeKind::SymbolicLink { target: "" });
    assert_eq!(empty.encode(&mut frames), Err(EncodeError::Path));
    assert!(frames.is_empty());
}

#[test]
fn a_damaged_payload_is_named_and_the_next_frame_is_found() {
    let mut frames = encode(&[Message::Stdout(b"hello"), Message::Exit { code: 3 }]);
    frames[HEADER_LEN_BYTES] ^= 1;
    let damaged = DecodeError::Damaged {
        kind: from_guest::STDOUT,
    };
    let mut heard = std::vec![std::format!("{:?}", Err::<Message<'_>, _>(damaged))];
    heard.extend(expected(&[Message::Exit { code: 3 }]));
    assert_eq!(decode(&frames, 1), heard);
}

#[test]
fn a_sender_reset_inside_a_frame_is_heard_again() {
    let cut = encode(&[Message::Stdout(&[7; 100])]);
    let mut line = cut[..50].to_vec();
    line.extend(encode(&[Message::Hello { version: 1 }]));
    line.extend(encode(&[Message::Stdout(&[8; 100])]));
    let heard = decode(&line, 16);
    assert_eq!(
        heard[1..],
        expected(&[Message::Hello { version: 1 }, Message::Stdout(&[8; 100])])
    );
}

#[test]
fn a_header_in_garbage_is_not_waited_for() {
    // A sync byte, a kind and a plausible length, but no check to match.
    let mut line = std::vec![0xA6, from_guest::STDOUT, 0xFF, 0x7F, 0, 0];
    line.extend(encode(&[Message::Kill]));
    assert_eq!(decode(&line, 1), expected(&[Message::Kill]));
}

#[test]
fn payloads_that_make_no_sense_are_errors() {
    let bad: [(u8, &[u8]); 8] = [
        (from_guest::HELLO, b"abc"),
        (from_guest::EXIT, b"abcde"),
        (from_guest::MESSAGE, b"\xFF"),
        (from_guest::TREE_ENTRY, b""),
        (from_guest::TREE_ENTRY, &[9; 40]),
        (from_host::KILL, b"x"),
        (0x00, b""),
        (0xFF, b""),
    ];
    for (kind, payload) in bad {
        let mut frames = Vec::new();
        crate::message::push(&mut frames, kind, payload).expect("short");
        let mut heard = 0;
        Decoder::new().feed(&frames, |result| {
            assert!(result.is_err(), "{kind:#x}: {result:?}");
            heard += 1;
        });
        assert_eq!(heard, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_are_found_behind_any_garbage(
        garbage in proptest::collection::vec(any::<u8>(), 0..200),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        piece in 1_usize..64,
    ) {
        // That random bytes hold a header with the right check is too unlikely to happen here.
        let mut line = garbage;
        let messages = [Message::Stdout(&bytes), Message::Exit { code: 1 }];
        line.extend(encode(&messages));
        let heard = decode(&line, piece);
        let tail = expected(&messages);
        prop_assert!(heard.ends_with(&tail), "{heard:?}");
    }

    #[test]
    fn no_bytes_panic_or_grow_the_decoder(
        line in proptest::collection::vec(prop_oneof![Just(0xA6_u8), Just(2), Just(0), any::<u8>()], 0..2000),
    ) {
        let mut decoder = Decoder::new();
        let mut messages = 0_u64;
        decoder.feed(&line, |_| messages += 1);
        prop_assert!(decoder.skipped_bytes() <= line.len() as u64);
        prop_assert!(messages <= line.len() as u64 / HEADER_LEN_BYTES as u64);
    }

    #[test]
    fn damage_anywhere_never_yields_a_wrong_message(
        at in any::<prop::sample::Index>(),
        change in 1_u8..=255,
    ) {
        let messages = one_of_each();
        let mut frames = encode(&messages);
        let at = at.index(frames.len());
        frames[at] ^= change;
        let original = expected(&messages);
        for heard in decode(&frames, 50) {
            prop_assert!(heard.starts_with("Err(") || original.contains(&heard), "{heard}");
        }
    }
}
