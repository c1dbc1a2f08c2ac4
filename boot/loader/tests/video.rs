//! Which video mode is chosen.

use boot_loader::video::{VideoMode, choose, wanted_size};
use contract_boot::pixel_format::{BGRX, NONE, RGBX};

fn mode(width_px: u32, height_px: u32, format: u32, current: bool) -> VideoMode {
    VideoMode {
        width_px,
        height_px,
        format,
        current,
    }
}

#[test]
fn preferred_sizes_win_in_their_order() {
    let modes = [
        mode(1920, 1080, BGRX, true),
        mode(1024, 768, BGRX, false),
        mode(1280, 800, NONE, false),
        mode(1280, 800, RGBX, false),
    ];
    assert_eq!(choose(&modes, None), Some(3));
    assert_eq!(choose(&modes[..3], None), Some(1));
}

#[test]
fn then_the_mode_that_is_set_and_then_the_largest() {
    let modes = [
        mode(640, 480, BGRX, false),
        mode(800, 600, RGBX, true),
        mode(2560, 1440, BGRX, false),
    ];
    assert_eq!(choose(&modes, None), Some(1));
    let unusable = [modes[0], mode(800, 600, NONE, true), modes[2]];
    assert_eq!(choose(&unusable, None), Some(2));
}

#[test]
fn without_a_usable_mode_there_is_none() {
    assert_eq!(choose(&[mode(1280, 800, NONE, true)], None), None);
    assert_eq!(choose(&[], None), None);
}

#[test]
fn the_wanted_size_wins_if_there_is_one() {
    let modes = [mode(1280, 800, BGRX, true), mode(640, 480, RGBX, false)];
    assert_eq!(choose(&modes, Some((640, 480))), Some(1));
    assert_eq!(choose(&modes, Some((641, 480))), Some(0));
}

#[test]
fn the_command_line_says_which_size_is_wanted() {
    assert_eq!(wanted_size(b"log=info screen=640x480 x"), Some((640, 480)));
    assert_eq!(wanted_size(b"screen=huge screen=1x2\n"), Some((1, 2)));
    for none in [
        "",
        "screen=",
        "screen=640",
        "screen=640x",
        "screen=-1x4",
        "xscreen=1x1",
        "screen=99999999999x1",
    ] {
        assert_eq!(wanted_size(none.as_bytes()), None, "{none}");
    }
    assert_eq!(wanted_size(b"\xff screen=640x480"), None);
}
