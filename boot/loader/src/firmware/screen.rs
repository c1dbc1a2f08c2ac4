//! Setting the video mode, by the graphics output protocol (UEFI specification, section 12.9).

use alloc::vec::Vec;

use boot_loader::video::{self, VideoMode};
use contract_boot::{Framebuffer, PhysRange, pixel_format};
use uefi::boot::{self, OpenProtocolAttributes, OpenProtocolParams, ScopedProtocol};
use uefi::proto::console::gop::{GraphicsOutput, Mode, ModeInfo, PixelFormat};

/// Sets the mode of the wanted size, or the best one, and describes it. Without a screen that the kernel can draw on there is no
/// framebuffer, and starting goes on by serial.
pub(super) fn set_mode(wanted: Option<(u32, u32)>) -> Framebuffer {
    let Some(mut graphics) = open() else {
        return Framebuffer::default();
    };
    let modes: Vec<Mode> = graphics.modes().collect();
    let current = graphics.current_mode_info();
    let facts: Vec<VideoMode> = modes
        .iter()
        .map(|mode| describe(mode.info(), &current))
        .collect();
    if let Some(number) = video::choose(&facts, wanted).filter(|number| !facts[*number].current) {
        // If the firmware refuses, the mode stays as it was and is described as such.
        let _ = graphics.set_mode(&modes[number]);
    }
    framebuffer(&mut graphics)
}

fn open() -> Option<ScopedProtocol<GraphicsOutput>> {
    let handle = boot::get_handle_for_protocol::<GraphicsOutput>().ok()?;
    let agent = boot::image_handle();
    let params = OpenProtocolParams {
        handle,
        agent,
        controller: None,
    };
    // SAFETY: Not exclusively, because that would take the screen from the firmware's console, on which
    // failures are said. The screen does not go away while the loader runs, and nothing else draws.
    unsafe { boot::open_protocol(params, OpenProtocolAttributes::GetProtocol) }.ok()
}

fn describe(mode: &ModeInfo, current: &ModeInfo) -> VideoMode {
    let (width_px, height_px) = size(mode);
    VideoMode {
        width_px,
        height_px,
        format: format(mode),
        current: mode == current,
    }
}

fn framebuffer(graphics: &mut GraphicsOutput) -> Framebuffer {
    let mode = graphics.current_mode_info();
    let format = format(&mode);
    if format == pixel_format::NONE {
        return Framebuffer::default();
    }
    let (width_px, height_px) = size(&mode);
    let mut memory = graphics.frame_buffer();
    Framebuffer {
        memory: PhysRange {
            start: memory.as_mut_ptr() as u64,
            len_bytes: memory.size() as u64,
        },
        width_px,
        height_px,
        stride_px: mode.stride() as u32,
        format,
    }
}

/// The firmware keeps sizes as 32-bit numbers, so nothing is cut off.
fn size(mode: &ModeInfo) -> (u32, u32) {
    let (width, height) = mode.resolution();
    (width as u32, height as u32)
}

fn format(mode: &ModeInfo) -> u32 {
    match mode.pixel_format() {
        PixelFormat::Rgb => pixel_format::RGBX,
        PixelFormat::Bgr => pixel_format::BGRX,
        PixelFormat::Bitmask | PixelFormat::BltOnly => pixel_format::NONE,
    }
}
