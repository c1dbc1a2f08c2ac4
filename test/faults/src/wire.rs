//! What the host's own peers send and understand, in the layout of `runtime/engine/src/values` and of `runtime/link/src/answer.rs`.

use std::sync::Arc;

use runtime_host::ByteSource;
use runtime_host::channel::{Message, Passed};
use runtime_link::{Function, Interface, Shape};

/// The journal's interface, as `test/guest/faults/wit` has it.
pub fn journal() -> Interface {
    let failures = ["unavailable", "lost", "revoked", "busy", "too-large"];
    Interface {
        full_name: "kpio:fault-probe/journal@0.1.0".to_owned(),
        functions: vec![Function {
            name: "append".to_owned(),
            parameters: vec![Shape::U32, Shape::U64],
            result: Some(Shape::Result {
                ok: Some(Box::new(Shape::U64)),
                err: Some(Box::new(Shape::Enum(failures.map(str::to_owned).to_vec()))),
            }),
        }],
        resources: Vec::new(),
    }
}

/// The parameters of `append`.
pub fn read_append(bytes: &[u8]) -> Option<(u32, u64)> {
    let (client, rest) = bytes.split_first_chunk()?;
    let number = rest.try_into().ok()?;
    Some((u32::from_le_bytes(*client), u64::from_le_bytes(number)))
}

/// The parameters of `enter`.
pub fn enter(client: u32, number: u64, padding: &[u8]) -> Vec<u8> {
    let mut bytes = client.to_le_bytes().to_vec();
    bytes.extend(number.to_le_bytes());
    bytes.extend((padding.len() as u32).to_le_bytes());
    bytes.extend(padding);
    bytes
}

/// What `enter` gets before the padding.
pub fn read_enter(bytes: &[u8]) -> Option<(u32, u64)> {
    read_append(bytes.get(..12)?)
}

/// The answer with this value.
pub fn answer(value: u64) -> Message {
    let mut bytes = vec![0];
    bytes.extend(value.to_le_bytes());
    Message::new(0, bytes)
}

/// The answer that is a stream: what changes hands has no number.
pub fn stream_answer(stream: Arc<dyn ByteSource>) -> Message {
    const NO_NUMBER: [u8; 4] = [0; 4];
    let mut bytes = vec![0];
    bytes.extend(NO_NUMBER);
    Message {
        handles: vec![Passed::Source(stream)],
        ..Message::new(0, bytes)
    }
}

/// The value of an answer, if it has one.
pub fn read_answer(message: &Message) -> Option<u64> {
    match message.bytes.split_first()? {
        (0, value) if message.function == 0 => Some(u64::from_le_bytes(value.try_into().ok()?)),
        _ => None,
    }
}

/// What `enter` answers.
pub fn check(client: u32, number: u64) -> u64 {
    number.wrapping_mul(31).wrapping_add(u64::from(client))
}
