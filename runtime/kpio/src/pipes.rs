//! `kpio:process/pipes`: pipes, and more handles of one stream.

use std::sync::Arc;

use runtime_host::{PIPE_DEFAULT_BYTES, pipe};
use runtime_wasi::io::{InputStream, OutputStream};
use wasmtime::component::Resource;

use crate::bindings::kpio::process::pipes::{Host, PipeError};
use crate::context::Caller;

type Ends = (Resource<InputStream>, Resource<OutputStream>);

impl Host for Caller<'_> {
    fn pipe(&mut self) -> wasmtime::Result<Result<Ends, PipeError>> {
        let Ok((reader, writer)) = pipe(PIPE_DEFAULT_BYTES, self.wasi.budget()) else {
            return Ok(Err(PipeError::Quota));
        };
        let Ok(input) = self.wasi.push(InputStream::from_source(Arc::new(reader))) else {
            return Ok(Err(PipeError::Quota));
        };
        match self.wasi.push(OutputStream::to_sink(Arc::new(writer))) {
            Ok(output) => Ok(Ok((input, output))),
            Err(_) => {
                self.wasi.delete(input)?;
                Ok(Err(PipeError::Quota))
            }
        }
    }

    fn duplicate_input(
        &mut self,
        stream: Resource<InputStream>,
    ) -> wasmtime::Result<Result<Resource<InputStream>, PipeError>> {
        let original = self.wasi.get_mut(&stream)?;
        let copy = InputStream::from_source(original.share()?);
        let copy = copy.with_terminal(original.is_terminal());
        Ok(self.wasi.push(copy).map_err(|_| PipeError::Quota))
    }

    fn duplicate_output(
        &mut self,
        stream: Resource<OutputStream>,
    ) -> wasmtime::Result<Result<Resource<OutputStream>, PipeError>> {
        let original = self.wasi.get_mut(&stream)?;
        let copy = OutputStream::to_sink(original.share()?);
        let copy = copy.with_terminal(original.is_terminal());
        Ok(self.wasi.push(copy).map_err(|_| PipeError::Quota))
    }
}
