//! The host link's decoder, with messages and garbage among them.
//!
//! Laws: it makes no difference in which pieces bytes come; without garbage every message arrives; what arrives can be sent on as it
//! is.

use lib_host_link::{Decoder, Message, TreeEntry, TreeKind};
use test_fuzz::{Input, Subject, Target, Verdict, same};

pub const TARGET: Target = Target {
    name: "host-link",
    cases: 4_000,
    len_bytes_max: 512,
    defect: "a decoder that forgets what is unfinished at the end of a piece",
    try_input,
};

const MESSAGES_MAX: usize = 12;

/// Everything that a decoder said, as text.
type Heard = Vec<String>;

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let piece_len_bytes = 1 + input.below(64);
    let is_clean = input.one_in(2);
    let (mut frames, mut sent) = (Vec::new(), Heard::new());
    for _ in 0..1 + input.below(MESSAGES_MAX) {
        if !is_clean && input.one_in(3) {
            let len_bytes = input.below(40);
            frames.extend(input.bytes(len_bytes));
        }
        let start = frames.len();
        if let Some(message) = push_message(&mut input, &mut frames) {
            sent.push(message);
        }
        if !is_clean && input.one_in(4) {
            damage(&mut input, &mut frames[start..]);
        }
    }
    let whole = heard(&mut Decoder::new(), &frames)?;
    let mut decoder = Decoder::new();
    let mut in_pieces = Heard::new();
    for piece in frames.chunks(piece_len_bytes) {
        if subject == Subject::Spoiled {
            decoder = Decoder::new();
        }
        in_pieces.extend(heard(&mut decoder, piece)?);
    }
    same("what came in pieces", &in_pieces, &whole)?;
    if is_clean {
        same("what came of what was sent", &whole, &sent)?;
    }
    Ok(())
}

fn damage(input: &mut Input<'_>, frame: &mut [u8]) {
    let at = input.below(frame.len().clamp(1, 256));
    if let Some(byte) = frame.get_mut(at) {
        *byte ^= 1 << input.below(8);
    }
}

/// Appends a message, if it is one that can be sent, and says which.
fn push_message(input: &mut Input<'_>, frames: &mut Vec<u8>) -> Option<String> {
    let len_bytes = input.below(48);
    let bytes = input.clone().bytes(len_bytes);
    let text = String::from_utf8_lossy(bytes);
    let message = match input.below(12) {
        0 => Message::Hello {
            version: input.number() as u32,
        },
        1 => Message::Stdout(bytes),
        2 => Message::Stderr(bytes),
        3 => Message::StdinCredit {
            len_bytes: input.number() as u32,
        },
        4 => Message::Exit {
            code: input.number() as i32,
        },
        5 => Message::Text(&text),
        6..=8 => Message::TreeEntry(TreeEntry {
            path: input.one_of(&["/", "/a", "/a/b", "/..", "//", "/a/", &text]),
            modified_ns: input.number(),
            kind: match input.below(3) {
                0 => TreeKind::Directory,
                1 => TreeKind::SymbolicLink { target: &text },
                _ => TreeKind::File {
                    len_bytes: input.number(),
                    executable: input.one_in(2),
                },
            },
        }),
        9 => Message::Stdin(bytes),
        10 => Message::RecordingEnd {
            len_bytes: input.number(),
        },
        _ => Message::Kill,
    };
    message.encode(frames).ok().map(|()| said(&message))
}

fn said(message: &Message<'_>) -> String {
    format!("{message:?}")
}

fn heard(decoder: &mut Decoder, bytes: &[u8]) -> Result<Heard, String> {
    let mut heard = Heard::new();
    let mut broken = Ok(());
    decoder.feed(bytes, |received| match received {
        Ok(message) => {
            heard.push(said(&message));
            if broken.is_ok() {
                broken = can_be_sent_on(&message);
            }
        }
        Err(error) => heard.push(error.to_string()),
    });
    broken.map(|()| heard)
}

fn can_be_sent_on(message: &Message<'_>) -> Verdict {
    let mut frame = Vec::new();
    let encoded = message.encode(&mut frame);
    encoded.map_err(|error| format!("{message:?} cannot be sent on: {error}"))?;
    let mut again = Vec::new();
    Decoder::new().feed(&frame, |received| {
        again.push(received.map(|message| said(&message)));
    });
    same("a message sent on", again, vec![Ok(said(message))])
}
