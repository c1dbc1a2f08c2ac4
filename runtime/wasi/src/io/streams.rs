//! `wasi:io/streams`.

use runtime_host::Notifier;
use wasmtime::component::Resource;

use super::{
    BLOCKING_WRITE_MAX_BYTES, InputStream, OutputStream, Pollable, READ_MAX_BYTES, StreamError,
};
use crate::WasiContext;
use crate::bindings::wasi::io::streams::{
    Host, HostInputStream, HostOutputStream, StreamError as WitStreamError,
};

/// What zeros are written from.
static ZEROS: [u8; READ_MAX_BYTES] = [0; READ_MAX_BYTES];

impl Host for WasiContext {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<WitStreamError> {
        match error {
            StreamError::Closed => Ok(WitStreamError::Closed),
            StreamError::Failed(error) => {
                Ok(WitStreamError::LastOperationFailed(self.push(error)?))
            }
            StreamError::Trap(error) => Err(error),
        }
    }
}

impl HostInputStream for WasiContext {
    fn read(&mut self, stream: Resource<InputStream>, len: u64) -> Result<Vec<u8>, StreamError> {
        Ok(self.read_now(&stream, len)?.unwrap_or_default())
    }

    fn blocking_read(
        &mut self,
        stream: Resource<InputStream>,
        len: u64,
    ) -> Result<Vec<u8>, StreamError> {
        self.read_when_ready(&stream, len)
    }

    fn skip(&mut self, stream: Resource<InputStream>, len: u64) -> Result<u64, StreamError> {
        Ok(HostInputStream::read(self, stream, len)?.len() as u64)
    }

    fn blocking_skip(
        &mut self,
        stream: Resource<InputStream>,
        len: u64,
    ) -> Result<u64, StreamError> {
        Ok(self.blocking_read(stream, len)?.len() as u64)
    }

    fn subscribe(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<Resource<Pollable>> {
        let pollable = self.get(&stream)?.pollable();
        Ok(self.push(pollable)?)
    }

    fn drop(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<()> {
        self.delete(stream)?;
        Ok(())
    }
}

impl HostOutputStream for WasiContext {
    fn check_write(&mut self, stream: Resource<OutputStream>) -> Result<u64, StreamError> {
        Ok(self.get_mut(&stream)?.check_write()? as u64)
    }

    fn write(
        &mut self,
        stream: Resource<OutputStream>,
        contents: Vec<u8>,
    ) -> Result<(), StreamError> {
        self.get_mut(&stream)?.spend_permit(contents.len() as u64)?;
        self.write_all(&stream, &contents)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        contents: Vec<u8>,
    ) -> Result<(), StreamError> {
        check_blocking_write(contents.len() as u64)?;
        self.write_all(&stream, &contents)
    }

    /// Sinks hold nothing back, so there is nothing to do.
    fn flush(&mut self, stream: Resource<OutputStream>) -> Result<(), StreamError> {
        self.get_mut(&stream)?.check_open()
    }

    fn blocking_flush(&mut self, stream: Resource<OutputStream>) -> Result<(), StreamError> {
        self.get_mut(&stream)?.check_open()
    }

    fn subscribe(
        &mut self,
        stream: Resource<OutputStream>,
    ) -> wasmtime::Result<Resource<Pollable>> {
        let pollable = self.get(&stream)?.pollable();
        Ok(self.push(pollable)?)
    }

    fn write_zeroes(
        &mut self,
        stream: Resource<OutputStream>,
        len: u64,
    ) -> Result<(), StreamError> {
        self.get_mut(&stream)?.spend_permit(len)?;
        self.write_zeros(&stream, len)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        len: u64,
    ) -> Result<(), StreamError> {
        check_blocking_write(len)?;
        self.write_zeros(&stream, len)
    }

    fn splice(
        &mut self,
        stream: Resource<OutputStream>,
        source: Resource<InputStream>,
        len: u64,
    ) -> Result<u64, StreamError> {
        let room = self.get_mut(&stream)?.check_write()? as u64;
        let want = len.min(room);
        if want == 0 {
            return Ok(0);
        }
        let bytes = self.read_now(&source, want)?.unwrap_or_default();
        self.pass_on(&stream, &bytes)
    }

    fn blocking_splice(
        &mut self,
        stream: Resource<OutputStream>,
        source: Resource<InputStream>,
        len: u64,
    ) -> Result<u64, StreamError> {
        let want = len.min(self.room_when_ready(&stream)?);
        if want == 0 {
            return Ok(0);
        }
        let bytes = self.read_when_ready(&source, want)?;
        self.pass_on(&stream, &bytes)
    }

    fn drop(&mut self, stream: Resource<OutputStream>) -> wasmtime::Result<()> {
        self.delete(stream)?;
        Ok(())
    }
}

impl WasiContext {
    fn read_now(
        &mut self,
        stream: &Resource<InputStream>,
        len: u64,
    ) -> Result<Option<Vec<u8>>, StreamError> {
        let (stream, clock) = self.get_mut_with_clock(stream)?;
        stream.read(len, clock)
    }

    fn read_when_ready(
        &mut self,
        stream: &Resource<InputStream>,
        len: u64,
    ) -> Result<Vec<u8>, StreamError> {
        loop {
            if let Some(bytes) = self.read_now(stream, len)? {
                return Ok(bytes);
            }
            self.wait_readable(stream)?;
        }
    }

    /// How many bytes the stream permits, once that is not none.
    fn room_when_ready(&mut self, stream: &Resource<OutputStream>) -> Result<u64, StreamError> {
        loop {
            match self.get_mut(stream)?.check_write()? {
                0 => self.wait_writable(stream)?,
                room => return Ok(room as u64),
            }
        }
    }

    /// Writes what was read within a permit, and says how much it was.
    fn pass_on(
        &mut self,
        stream: &Resource<OutputStream>,
        bytes: &[u8],
    ) -> Result<u64, StreamError> {
        self.get_mut(stream)?.spend_permit(bytes.len() as u64)?;
        self.write_all(stream, bytes)?;
        Ok(bytes.len() as u64)
    }

    fn write_all(
        &mut self,
        stream: &Resource<OutputStream>,
        mut bytes: &[u8],
    ) -> Result<(), StreamError> {
        let now = self.file_time();
        while !bytes.is_empty() {
            match self.get_mut(stream)?.write(bytes, now)? {
                0 => self.wait_writable(stream)?,
                taken => bytes = &bytes[taken..],
            }
        }
        Ok(())
    }

    fn write_zeros(
        &mut self,
        stream: &Resource<OutputStream>,
        len: u64,
    ) -> Result<(), StreamError> {
        let mut left = len;
        while left > 0 {
            let count = left.min(ZEROS.len() as u64);
            self.write_all(stream, &ZEROS[..count as usize])?;
            left -= count;
        }
        Ok(())
    }

    fn wait_readable(&self, stream: &Resource<InputStream>) -> wasmtime::Result<()> {
        self.wait_ready(self.get(stream)?.pollable())
    }

    fn wait_writable(&self, stream: &Resource<OutputStream>) -> wasmtime::Result<()> {
        self.wait_ready(self.get(stream)?.pollable())
    }

    fn wait_ready(&self, pollable: Pollable) -> wasmtime::Result<()> {
        let clock = self.clock.as_ref();
        self.block_on(
            |notifier: &Notifier| pollable.subscribe(notifier),
            || pollable.is_ready(clock).then_some(()),
        )
    }
}

fn check_blocking_write(len: u64) -> wasmtime::Result<()> {
    if len > BLOCKING_WRITE_MAX_BYTES as u64 {
        return Err(wasmtime::format_err!(
            "the program passed {len} bytes to a blocking write, which takes {BLOCKING_WRITE_MAX_BYTES} at most"
        ));
    }
    Ok(())
}
