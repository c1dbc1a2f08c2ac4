//! A compiler that makes one operator out of another: the planted defect of loading.

use wasmparser::{Operator, Parser, Payload};

/// Operators of one byte that take and give the same types, with the byte of another one of them.
fn other(operator: &Operator<'_>) -> Option<u8> {
    Some(match operator {
        Operator::I32Add => 0x6b,
        Operator::I32Sub => 0x6a,
        Operator::I32And => 0x72,
        Operator::I32Or => 0x71,
        Operator::I32Eqz => 0x67,
        Operator::I64Add => 0x7d,
        Operator::I64Sub => 0x7c,
        Operator::I64Xor => 0x7c,
        Operator::F64Add => 0xa1,
        Operator::F32Add => 0x93,
        Operator::I32Popcnt | Operator::I32Clz => 0x68,
        Operator::I64Popcnt | Operator::I64Clz => 0x7a,
        Operator::I32LtS | Operator::I32Eq => 0x4a,
        Operator::I64LtS | Operator::I64Eq => 0x55,
        _ => return None,
    })
}

/// The module with all these operators exchanged; it is as valid as before.
pub fn miscompiled(wasm: &[u8]) -> Vec<u8> {
    let mut changed = wasm.to_vec();
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        let Payload::CodeSectionEntry(body) = payload else {
            continue;
        };
        let Ok(operators) = body.get_operators_reader() else {
            continue;
        };
        for (operator, offset) in operators.into_iter_with_offsets().map_while(Result::ok) {
            if let (Some(byte), Some(place)) = (other(&operator), changed.get_mut(offset)) {
                *place = byte;
            }
        }
    }
    changed
}
