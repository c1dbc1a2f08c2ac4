//! The kernel's symbol table, which the kernel itself reads to name functions in a dump.

use lib_symbols::SymbolTableBuilder;
use object::{Object, ObjectSymbol, SymbolKind};

use crate::failure::{Failure, Result};
use crate::paths::{self, KernelFiles};

/// Makes the table from the kernel with symbols.
pub fn write(files: &KernelFiles) -> Result<()> {
    let file = &files.debug;
    let bytes = paths::read(file)?;
    let kernel = object::File::parse(&*bytes).map_err(|e| Failure::input(file.display(), e))?;
    let mut table = SymbolTableBuilder::new();
    for symbol in kernel
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text)
    {
        if let Ok(name) = symbol.name() {
            table.add(symbol.address(), symbol.size(), name);
        }
    }
    let table = table
        .build()
        .map_err(|e| Failure::input(file.display(), e))?;
    paths::write(&files.symbols, &table)
}
