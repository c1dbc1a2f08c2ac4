//! The symbol table, whole and damaged.
//!
//! Laws: a table that was built answers as a list of functions does; one that was damaged answers anything, with names inside it.

use lib_symbols::{NAME_LEN_BYTES_MAX, SymbolTable, SymbolTableBuilder};
use test_fuzz::{Input, Subject, Target, Verdict, holds, same};

pub const TARGET: Target = Target {
    name: "symbols",
    cases: 30_000,
    len_bytes_max: 384,
    defect: "addresses that are off by one",
    try_input,
};

const FUNCTIONS_MAX: usize = 12;

struct Function {
    start: u64,
    len_bytes: u64,
    name: String,
}

fn try_input(subject: Subject, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let base = input.number() >> 1;
    let functions = functions(&mut input, base);
    let mut builder = SymbolTableBuilder::new();
    for function in functions.iter().rev() {
        builder.add(function.start, function.len_bytes, &function.name);
    }
    let built = builder.build();
    let mut table = built.map_err(|error| format!("no table: {error}"))?;
    check_whole(subject, &table, &functions, base)?;
    for _ in 0..1 + input.below(4) {
        let at = usize::from(input.u16()) % table.len();
        table[at] = input.byte();
    }
    table.truncate(table.len() - input.below(4).min(table.len()));
    check_damaged(&mut input, &table, base)
}

fn check_whole(subject: Subject, table: &[u8], functions: &[Function], base: u64) -> Verdict {
    let table = SymbolTable::open(table).map_err(|error| format!("no table: {error}"))?;
    same("its length", table.len(), functions.len())?;
    let edges = functions
        .iter()
        .flat_map(|function| [function.start, function.start + function.len_bytes]);
    for edge in edges.chain([base]) {
        for address in [edge.wrapping_sub(1), edge, edge.wrapping_add(1)] {
            let asked = address.wrapping_add(u64::from(subject == Subject::Spoiled));
            let found = table.lookup(asked);
            let found = found.map(|symbol| (symbol.name.to_owned(), symbol.offset));
            same(
                &format!("the function at {address:#x}"),
                found,
                model(functions, address),
            )?;
        }
    }
    Ok(())
}

fn model(functions: &[Function], address: u64) -> Option<(String, u64)> {
    let holds = |function: &&Function| {
        (function.start..function.start + function.len_bytes).contains(&address)
    };
    let function = functions.iter().find(holds)?;
    Some((function.name.clone(), address - function.start))
}

fn check_damaged(input: &mut Input<'_>, table: &[u8], base: u64) -> Verdict {
    let Ok(table) = SymbolTable::open(table) else {
        return Ok(());
    };
    for _ in 0..32 {
        let address = match input.below(2) {
            0 => base.wrapping_add(input.u16().into()),
            _ => input.number(),
        };
        if let Some(symbol) = table.lookup(address) {
            holds(symbol.name.len() <= usize::from(u16::MAX), || {
                format!("a name of {} bytes", symbol.name.len())
            })?;
        }
    }
    Ok(())
}

/// Functions behind each other, with gaps. Names that look mangled are demangled; these do not.
fn functions(input: &mut Input<'_>, base: u64) -> Vec<Function> {
    let mut start = base;
    let mut functions = Vec::new();
    for _ in 0..input.below(FUNCTIONS_MAX) {
        let len_bytes = 1 + u64::from(input.u16());
        let name_len_bytes = 1 + usize::from(input.byte()) % NAME_LEN_BYTES_MAX;
        functions.push(Function {
            start,
            len_bytes,
            name: input
                .one_of(&['f', 'g', '.'])
                .to_string()
                .repeat(name_len_bytes),
        });
        start += len_bytes + u64::from(input.byte());
    }
    functions
}
