//! What the machine is made of, found once at boot.
//!
//! Law: written once by [`init`], read by everybody.

use alloc::vec::Vec;

use contract_boot::{BootInfo, MemoryRange};
use kernel_machine::memory::direct_map;
use kernel_machine::platform::acpi::{self, Platform};
use kernel_machine::platform::features::CpuFeatures;
use spin::Once;

static PLATFORM: Once<Platform> = Once::new();
static FEATURES: Once<CpuFeatures> = Once::new();

pub(crate) fn init(info: &BootInfo) {
    let features = FEATURES.call_once(CpuFeatures::detect);
    log::info!(
        "cpu: {} ({})",
        features.brand.as_str(),
        features.vendor.as_str()
    );
    if let Some(missing) = &features.missing_baseline {
        crate::fault::stop_with(format_args!(
            "this processor lacks {}: KPIO needs x86-64-v2",
            missing.0
        ));
    }
    let discovery = acpi::discover(info.acpi_rsdp, &memory_map(info));
    for complaint in &discovery.complaints {
        log::warn!("acpi: {complaint}");
    }
    PLATFORM.call_once(|| discovery.platform);
}

fn memory_map(info: &BootInfo) -> Vec<MemoryRange> {
    let entry_bytes = size_of::<MemoryRange>() as u64;
    let count = info.memory_map.len_bytes / entry_bytes;
    (0..count)
        .filter_map(|index| direct_map::read(info.memory_map.start + index * entry_bytes))
        .collect()
}

/// What firmware says about the machine.
pub fn platform() -> &'static Platform {
    PLATFORM.call_once(Platform::unknown)
}

/// What the processor can do.
pub fn features() -> &'static CpuFeatures {
    FEATURES.call_once(CpuFeatures::detect)
}
