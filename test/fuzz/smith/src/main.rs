//! Makes WebAssembly out of bytes for whoever writes them to standard input.
//!
//! A request is a length (u32, little-endian) and so many bytes. The answer is a byte that says what was made (0: nothing, the bytes
//! were too few), a length, and so many bytes of a module or component. The same bytes make the same program. It ends with its input.

mod program;

use std::io::{self, ErrorKind, Read, Write};

use program::Program;

/// Requests are never longer.
const REQUEST_BYTES_MAX: usize = 1 << 20;

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    while let Some(bytes) = request(&mut input)? {
        let (number, wasm) = match Program::new(&bytes) {
            Some(program) => (program.form as u8, program.wasm),
            None => (0, Vec::new()),
        };
        output.write_all(&[number])?;
        output.write_all(&(wasm.len() as u32).to_le_bytes())?;
        output.write_all(&wasm)?;
        output.flush()?;
    }
    Ok(())
}

fn request(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut len_bytes = [0; 4];
    match input.read_exact(&mut len_bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let len_bytes = u32::from_le_bytes(len_bytes) as usize;
    if len_bytes > REQUEST_BYTES_MAX {
        return Err(io::Error::other("a request is too long"));
    }
    let mut bytes = vec![0; len_bytes];
    input.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}
