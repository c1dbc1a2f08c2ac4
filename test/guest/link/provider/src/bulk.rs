//! The three ways of much data, without a device behind them.

use std::cell::RefCell;

use crate::Provider;
use crate::exports::kpio::link_probe::bulk::{Error, Extent, Guest, Loan, Rectangle};
use crate::kpio::bulk::buffers::{self, Buffer};

/// A file's blocks lie at every second place of these.
const BLOCK_BYTES: u64 = 4096;
/// A packet as it comes in.
const PACKET_BYTES: usize = 1500;
const SCREEN_WIDTH: u32 = 640;
const SCREEN_HEIGHT: u32 = 480;

thread_local! {
    static SCREEN: RefCell<Option<Buffer>> = const { RefCell::new(None) };
    static KEPT: RefCell<Vec<Loan>> = const { RefCell::new(Vec::new()) };
}

impl Guest for Provider {
    fn locate(file: u32, offset: u64, len: u32) -> Result<Vec<Extent>, Error> {
        if file == 1 {
            let extents = [(u64::MAX, 1), (0, u32::MAX)];
            return Ok(extents.map(|(offset, len)| Extent { offset, len }).into());
        }
        let (mut at, end) = (offset, offset + u64::from(len));
        let mut extents = Vec::new();
        while at < end {
            let (block, inside) = (at / BLOCK_BYTES, at % BLOCK_BYTES);
            let len = (BLOCK_BYTES - inside).min(end - at);
            let offset = block * 2 * BLOCK_BYTES + inside;
            extents.push(Extent {
                offset,
                len: len as u32,
            });
            at += len;
        }
        Ok(extents)
    }

    fn transmit(frames: Loan, lens: Vec<u32>) -> Result<u64, Error> {
        let bytes = frames.read(0, frames.len()).map_err(Error::Bulk)?;
        let (mut rest, mut sum) = (&bytes[..], 0);
        for len in lens {
            let packet = rest.split_at_checked(len as usize);
            let (packet, after) = packet.ok_or(Error::Bulk(buffers::BulkError::OutOfBounds))?;
            sum += u64::from(*packet.first().unwrap_or(&0));
            rest = after;
        }
        Ok(sum)
    }

    fn receive(frames: Loan, count: u32) -> Result<Vec<u32>, Error> {
        let bytes: Vec<u8> = (0..count as usize * PACKET_BYTES)
            .map(|place| (place / PACKET_BYTES) as u8)
            .collect();
        frames.write(0, &bytes).map_err(Error::Bulk)?;
        Ok(vec![PACKET_BYTES as u32; count as usize])
    }

    fn present(window: Loan, width: u32, damage: Rectangle) -> Result<(), Error> {
        with_screen(|screen| buffers::blit(&window, width, damage, screen, SCREEN_WIDTH))
    }

    fn screen() -> Result<u64, Error> {
        with_screen(|screen| screen.read(0, screen.len()).map(|bytes| sum_of(&bytes)))
    }

    fn keep(window: Loan) -> Result<(), Error> {
        KEPT.with_borrow_mut(|kept| kept.push(window));
        Ok(())
    }
}

fn with_screen<R>(
    operation: impl FnOnce(&Buffer) -> Result<R, buffers::BulkError>,
) -> Result<R, Error> {
    SCREEN.with_borrow_mut(|screen| {
        let made = match screen.take() {
            Some(made) => made,
            None => Buffer::make(SCREEN_WIDTH * SCREEN_HEIGHT * 4).map_err(Error::Bulk)?,
        };
        operation(screen.insert(made)).map_err(Error::Bulk)
    })
}

fn sum_of(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}
