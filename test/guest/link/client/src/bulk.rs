//! Much data, as its users move it.

use crate::kpio::bulk::buffers::{self, Access, Buffer, BulkError, Loan, Rectangle};
use crate::kpio::link_probe::bulk::{self, Error};
use wasip2::io::poll::poll;

/// The device that files lie on: each byte is the number of its block.
pub struct Device(Loan);

pub const BLOCK_BYTES: u32 = 4096;
pub const PACKET_BYTES: u32 = 1500;
pub const WINDOW_WIDTH: u32 = 320;
pub const WINDOW_HEIGHT: u32 = 200;

impl Device {
    /// The buffer outlives its handle as long as the loan is held.
    pub fn new(blocks: u32) -> Device {
        let device = Buffer::make(blocks * BLOCK_BYTES).expect("there is room");
        for block in 0..blocks {
            let bytes = [block as u8; BLOCK_BYTES as usize];
            let written = device.write(block * BLOCK_BYTES, &bytes);
            written.expect("it is here");
        }
        Device(device.hand_over(Access::Read).expect("it is here"))
    }

    /// As the kernel reads a file: the file system says where it lies, and the bytes go from the device to the page cache.
    pub fn read(&self, file: u32, offset: u64, pages: &Buffer) -> Result<u32, Error> {
        let extents = bulk::locate(file, offset, pages.len())?;
        buffers::gather(&self.0, &extents, pages).map_err(Error::Bulk)
    }
}

/// A file's blocks in the order of the file, whatever their order on the device.
pub fn file() {
    let device = Device::new(16);
    let pages = Buffer::make(5 * BLOCK_BYTES).expect("there is room");
    println!("{:?}", device.read(0, u64::from(BLOCK_BYTES) / 2, &pages));
    let bytes = pages.read(0, pages.len()).expect("it is here");
    let mut blocks: Vec<u8> = bytes.to_vec();
    blocks.dedup();
    println!("{blocks:?}");
    println!("{:?}", device.read(0, 1 << 40, &pages));
    println!("{:?}", device.read(1, 0, &pages));
    let after = pages.read(0, pages.len()).expect("it is here");
    println!("{}", after == bytes);
}

/// Packets there and back, a batch in each call.
pub fn packets(count: u32) {
    let frames = Buffer::make(count * PACKET_BYTES).expect("there is room");
    let lent = frames.hand_over(Access::Write).expect("it is here");
    let received = bulk::receive(lent, count).expect("they came in");
    println!("{}", received.len());
    println!("{:?}", transmit(&frames, &received));
    println!("{:?}", transmit(&frames, &[1, frames.len()]));
}

pub fn transmit(frames: &Buffer, lens: &[u32]) -> Result<u64, Error> {
    let lent = frames.hand_over(Access::Read).expect("it is back");
    bulk::transmit(lent, lens)
}

/// A window of which a part has changed, and parts that are none.
pub fn window() {
    let window = Buffer::make(WINDOW_WIDTH * WINDOW_HEIGHT * 4).expect("there is room");
    let all = vec![1; window.len() as usize];
    window.write(0, &all).expect("it is here");
    for (x, y, width, height) in [
        (10, 20, 30, 40),
        (0, 0, WINDOW_WIDTH, WINDOW_HEIGHT),
        (WINDOW_WIDTH - 1, 0, 2, 1),
        (0, WINDOW_HEIGHT, 1, 1),
        (u32::MAX, u32::MAX, u32::MAX, u32::MAX),
    ] {
        let damage = Rectangle {
            x,
            y,
            width,
            height,
        };
        println!("{:?} {:?}", present(&window, damage), bulk::screen());
    }
}

pub fn present(window: &Buffer, damage: Rectangle) -> Result<(), Error> {
    let lent = window.hand_over(Access::Read).expect("it is back");
    bulk::present(lent, WINDOW_WIDTH, damage)
}

/// What a buffer's owner and its holder may not do.
pub fn rules() {
    let buffer = Buffer::make(100).expect("there is room");
    println!("{:?}", buffer.write(99, &[1, 2]));
    let lent = buffer.hand_over(Access::Read).expect("it is here");
    println!("{:?} {:?}", buffer.write(0, &[1]), buffer.read(0, 1));
    println!("{:?}", buffer.hand_over(Access::Write).map(drop));
    println!("{:?} {:?}", lent.write(0, &[1]), lent.read(99, 2));
    println!("{:?}", bulk::keep(lent));
    println!("{:?}", buffer.read(0, 1));
    println!("{:?}", Buffer::make(u32::MAX).map(drop));
}

/// The provider holds a buffer, and the grant is taken back.
pub fn cut_off() {
    let buffer = Buffer::make(100).expect("there is room");
    let lent = buffer.hand_over(Access::Write).expect("it is here");
    println!("{:?}", bulk::keep(lent));
    poll(&[&buffer.subscribe()]);
    println!("{:?}", buffer.write(0, &[7]));
}

/// The provider holds a buffer and dies: its owner has it back.
pub fn holder_dies() {
    let buffer = Buffer::make(100).expect("there is room");
    buffer.write(0, &[7]).expect("it is here");
    let lent = buffer.hand_over(Access::Write).expect("it is here");
    println!("{:?}", bulk::keep(lent));
    println!("{:?}", buffer.read(0, 1) == Err(BulkError::HandedOver));
    println!("{:?}", crate::kpio::link_probe::shapes::crash());
    poll(&[&buffer.subscribe()]);
    println!("{:?}", buffer.read(0, 1));
}
