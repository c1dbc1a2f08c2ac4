//! Tells `src/lib.rs` where the WIT is.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    sdk_build::write_generate_macro(&["", "link", "service", "log"], &[])
}
