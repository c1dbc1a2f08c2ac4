//! What this CPU can do, read once from CPUID.
//!
//! Law: whoever wants to know what the CPU can do asks here; only [`crate::cpu`], which sets a CPU
//! up before anything else runs on it, asks CPUID itself. All CPUs of a machine are taken to be
//! alike. A hypervisor may say anything: strings are cleaned, sizes are bounded.
//!
//! Source: Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E; the x86-64 psABI for what x86-64-v2
//! means.

use core::fmt;

use raw_cpuid::{CpuId, CpuIdReader, CpuIdReaderNative};

/// Longest brand string, in bytes.
const BRAND_MAX_BYTES: usize = 48;
/// The legacy region and the header of an XSAVE area (SDM vol. 1, section 13.4).
const XSAVE_MIN_LEN_BYTES: usize = 512 + 64;
/// No real XSAVE area is larger: AMX brings it to about 11 KiB.
const XSAVE_MAX_LEN_BYTES: usize = 64 * 1024;

/// Bits of XCR0 (SDM vol. 1, section 13.1).
pub mod xcr0 {
    /// x87 state; always on.
    pub const X87: u64 = 1;
    /// XMM registers and MXCSR.
    pub const SSE: u64 = 1 << 1;
    /// Upper halves of the YMM registers.
    pub const AVX: u64 = 1 << 2;
    /// Opmask, upper ZMM and the sixteen further ZMM registers: on or off together.
    pub const AVX512: u64 = 0b111 << 5;
}

/// A short ASCII string from CPUID; other bytes were replaced by `?`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CpuString {
    bytes: [u8; BRAND_MAX_BYTES],
    len_bytes: usize,
}

impl CpuString {
    fn clean(text: &str) -> Self {
        let mut bytes = [0; BRAND_MAX_BYTES];
        let mut len_bytes = 0;
        for (slot, byte) in bytes.iter_mut().zip(text.trim().bytes()) {
            let printable = byte == b' ' || byte.is_ascii_graphic();
            *slot = if printable { byte } else { b'?' };
            len_bytes += 1;
        }
        Self { bytes, len_bytes }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len_bytes]).unwrap_or("")
    }
}

impl fmt::Debug for CpuString {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl fmt::Display for CpuString {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Frequencies of the time-stamp counter that CPUID claims, unchecked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TscClaims {
    /// Leaf 0x4000_0010, from a hypervisor.
    pub hypervisor_hz: Option<u64>,
    /// Leaf 0x15, if it names the crystal's frequency.
    pub crystal_hz: Option<u64>,
    /// Leaf 0x16: the base frequency, rounded to 1 MHz.
    pub base_hz: Option<u64>,
}

/// How the CPU saves extended state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XsaveFeatures {
    /// Components that XCR0 may name.
    pub supported_xcr0: u64,
    /// `xsaveopt` exists.
    pub has_xsaveopt: bool,
    /// `xsavec` and the compacted format exist.
    pub has_xsavec: bool,
}

/// The features that the kernel asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "CPUID is a set of independent bits, and they are asked by name"
)]
pub struct CpuFeatures {
    /// "GenuineIntel", "AuthenticAMD", …
    pub vendor: CpuString,
    /// The model's name; empty if the CPU does not tell.
    pub brand: CpuString,
    /// What x86-64-v2 asks for, and this CPU lacks: the first such feature.
    pub missing_baseline: Option<MissingFeature>,
    /// `xsave`; without it, state is saved by `fxsave`.
    pub xsave: Option<XsaveFeatures>,
    /// Frequencies that CPUID claims.
    pub tsc_claims: TscClaims,
    /// Supervisor code may not execute user pages.
    pub has_smep: bool,
    /// Supervisor code may not touch user pages unasked.
    pub has_smap: bool,
    /// `sgdt` and friends fault in user mode.
    pub has_umip: bool,
    /// 1 GiB pages.
    pub has_1gib_pages: bool,
    /// AVX.
    pub has_avx: bool,
    /// AVX-512 foundation.
    pub has_avx512f: bool,
    /// The time-stamp counter runs at one rate in all power states.
    pub has_invariant_tsc: bool,
    /// The local APIC timer has the deadline mode.
    pub has_tsc_deadline: bool,
    /// The local APIC timer runs in deep sleep states.
    pub has_always_running_apic_timer: bool,
    /// x2APIC.
    pub has_x2apic: bool,
    /// `rdrand`.
    pub has_rdrand: bool,
    /// `rdseed`.
    pub has_rdseed: bool,
    /// `rdfsbase` and friends.
    pub has_fsgsbase: bool,
    /// Process-context identifiers.
    pub has_pcid: bool,
    /// `invpcid`.
    pub has_invpcid: bool,
    /// The CPU is virtual.
    pub has_hypervisor: bool,
}

/// The CPU lacks something that x86-64-v2, or this kernel, needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingFeature(
    /// The feature's name in the manuals.
    pub &'static str,
);

impl fmt::Display for MissingFeature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "this CPU lacks {}, which KPIO needs (any x86-64-v2 CPU with NX has it; for QEMU use -cpu max)",
            self.0
        )
    }
}

impl core::error::Error for MissingFeature {}

impl CpuFeatures {
    /// Asks this CPU.
    pub fn detect() -> Self {
        Self::from_cpuid(&CpuId::with_cpuid_reader(CpuIdReaderNative))
    }

    fn from_cpuid<R: CpuIdReader>(cpuid: &CpuId<R>) -> Self {
        let basic = cpuid.get_feature_info();
        let extended = cpuid.get_extended_feature_info();
        let identifiers = cpuid.get_extended_processor_and_feature_identifiers();
        let basic_bit = |bit: fn(&raw_cpuid::FeatureInfo) -> bool| basic.as_ref().is_some_and(bit);
        let extended_bit =
            |bit: fn(&raw_cpuid::ExtendedFeatures) -> bool| extended.as_ref().is_some_and(bit);
        Self {
            vendor: vendor(cpuid),
            brand: brand(cpuid),
            missing_baseline: missing_baseline(cpuid),
            xsave: xsave(cpuid),
            tsc_claims: tsc_claims(cpuid),
            has_smep: extended_bit(|f| f.has_smep()),
            has_smap: extended_bit(|f| f.has_smap()),
            has_umip: extended_bit(|f| f.has_umip()),
            has_1gib_pages: identifiers.is_some_and(|f| f.has_1gib_pages()),
            has_avx: basic_bit(|f| f.has_avx()),
            has_avx512f: extended_bit(|f| f.has_avx512f()),
            has_invariant_tsc: cpuid
                .get_advanced_power_mgmt_info()
                .is_some_and(|f| f.has_invariant_tsc()),
            has_tsc_deadline: basic_bit(|f| f.has_tsc_deadline()),
            has_always_running_apic_timer: cpuid
                .get_thermal_power_info()
                .is_some_and(|f| f.has_arat()),
            has_x2apic: basic_bit(|f| f.has_x2apic()),
            has_rdrand: basic_bit(|f| f.has_rdrand()),
            has_rdseed: extended_bit(|f| f.has_rdseed()),
            has_fsgsbase: extended_bit(|f| f.has_fsgsbase()),
            has_pcid: basic_bit(|f| f.has_pcid()),
            has_invpcid: extended_bit(|f| f.has_invpcid()),
            has_hypervisor: basic_bit(|f| f.has_hypervisor()),
        }
    }
}

/// Length of the XSAVE area, in the standard format, for the components that `xcr0` names. `None`
/// if the CPU's answer is absurd.
pub fn xsave_area_len_bytes(xcr0: u64) -> Option<usize> {
    xsave_area_len(&CpuIdReaderNative, xcr0)
}

/// Leaf 0xd, sub-leaf n ≥ 2: EAX is component n's size, EBX its offset (SDM vol. 1, section 13.2).
fn xsave_area_len(cpuid: &impl CpuIdReader, xcr0: u64) -> Option<usize> {
    (2..63)
        .filter(|component| xcr0 & (1 << component) != 0)
        .map(|component| {
            let leaf = cpuid.cpuid2(0xd, component);
            (leaf.eax as usize).saturating_add(leaf.ebx as usize)
        })
        .try_fold(XSAVE_MIN_LEN_BYTES, |longest, end| {
            (end <= XSAVE_MAX_LEN_BYTES).then_some(longest.max(end))
        })
}

fn vendor<R: CpuIdReader>(cpuid: &CpuId<R>) -> CpuString {
    let vendor = cpuid.get_vendor_info();
    CpuString::clean(vendor.as_ref().map_or("", |vendor| vendor.as_str()))
}

fn brand<R: CpuIdReader>(cpuid: &CpuId<R>) -> CpuString {
    let brand = cpuid.get_processor_brand_string();
    CpuString::clean(brand.as_ref().map_or("", |brand| brand.as_str()))
}

fn missing_baseline<R: CpuIdReader>(cpuid: &CpuId<R>) -> Option<MissingFeature> {
    let basic = cpuid.get_feature_info();
    let identifiers = cpuid.get_extended_processor_and_feature_identifiers();
    let basic = |bit: fn(&raw_cpuid::FeatureInfo) -> bool| basic.as_ref().is_some_and(bit);
    [
        ("a local APIC", basic(|f| f.has_apic())),
        ("a time-stamp counter", basic(|f| f.has_tsc())),
        ("SSE3", basic(|f| f.has_sse3())),
        ("SSSE3", basic(|f| f.has_ssse3())),
        ("SSE4.1", basic(|f| f.has_sse41())),
        ("SSE4.2", basic(|f| f.has_sse42())),
        ("POPCNT", basic(|f| f.has_popcnt())),
        ("CMPXCHG16B", basic(|f| f.has_cmpxchg16b())),
        (
            "LAHF/SAHF in 64-bit mode",
            identifiers.as_ref().is_some_and(|f| f.has_lahf_sahf()),
        ),
        (
            "no-execute pages (NX)",
            identifiers
                .as_ref()
                .is_some_and(|f| f.has_execute_disable()),
        ),
    ]
    .into_iter()
    .find_map(|(name, present)| (!present).then_some(MissingFeature(name)))
}

fn xsave<R: CpuIdReader>(cpuid: &CpuId<R>) -> Option<XsaveFeatures> {
    cpuid.get_feature_info().filter(|f| f.has_xsave())?;
    let state = cpuid.get_extended_state_info()?;
    let components = [
        (xcr0::X87, state.xcr0_supports_legacy_x87()),
        (xcr0::SSE, state.xcr0_supports_sse_128()),
        (xcr0::AVX, state.xcr0_supports_avx_256()),
        (xcr0::AVX512, supports_avx512_state(&state)),
    ];
    Some(XsaveFeatures {
        supported_xcr0: components
            .into_iter()
            .filter(|(_, supported)| *supported)
            .fold(0, |mask, (bits, _)| mask | bits),
        has_xsaveopt: state.has_xsaveopt(),
        has_xsavec: state.has_xsavec(),
    })
}

fn supports_avx512_state<R: CpuIdReader>(state: &raw_cpuid::ExtendedStateInfo<R>) -> bool {
    state.xcr0_supports_avx512_opmask()
        && state.xcr0_supports_avx512_zmm_hi256()
        && state.xcr0_supports_avx512_zmm_hi16()
}

fn tsc_claims<R: CpuIdReader>(cpuid: &CpuId<R>) -> TscClaims {
    TscClaims {
        hypervisor_hz: cpuid
            .get_hypervisor_info()
            .and_then(|info| info.tsc_frequency())
            .and_then(hz_from_khz),
        crystal_hz: cpuid.get_tsc_info().and_then(|info| info.tsc_frequency()),
        base_hz: cpuid
            .get_processor_frequency_info()
            .map(|info| u64::from(info.processor_base_frequency()) * 1_000_000)
            .filter(|hz| *hz != 0),
    }
}

fn hz_from_khz(khz: u32) -> Option<u64> {
    (khz != 0).then_some(u64::from(khz) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use raw_cpuid::CpuIdResult;

    fn result(eax: u32, ebx: u32, ecx: u32, edx: u32) -> CpuIdResult {
        CpuIdResult { eax, ebx, ecx, edx }
    }

    /// A CPU of level v2 with AVX state, a crystal of 24 MHz and a ratio of 125.
    fn modern(eax: u32, ecx: u32) -> CpuIdResult {
        let v2_ecx = 1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23;
        match (eax, ecx) {
            (0, _) => result(0x16, 0x756e_6547, 0x6c65_746e, 0x4965_6e69),
            (1, _) => result(0, 0, v2_ecx | 1 << 24 | 1 << 26 | 1 << 28, 1 << 4 | 1 << 9),
            (7, 0) => result(0, 1 << 7 | 1 << 20, 1 << 2, 0),
            (0xd, 0) => result(0b111, 832, 832, 0),
            (0xd, 2) => result(256, 576, 0, 0),
            (0x15, _) => result(1, 125, 24_000_000, 0),
            (0x16, _) => result(3000, 4000, 100, 0),
            (0x8000_0000, _) => result(0x8000_0008, 0, 0, 0),
            (0x8000_0001, _) => result(0, 0, 1, 1 << 20 | 1 << 26),
            (0x8000_0007, _) => result(0, 0, 0, 1 << 8),
            _ => result(0, 0, 0, 0),
        }
    }

    #[test]
    fn a_modern_cpu_is_read() {
        let features = CpuFeatures::from_cpuid(&CpuId::with_cpuid_reader(modern));
        assert_eq!(features.vendor.as_str(), "GenuineIntel");
        assert_eq!(features.missing_baseline, None);
        assert_eq!(features.tsc_claims.crystal_hz, Some(3_000_000_000));
        assert_eq!(features.xsave.unwrap().supported_xcr0, 0b111);
        assert!(features.has_smep && features.has_smap && features.has_umip);
        assert!(features.has_tsc_deadline && features.has_invariant_tsc && features.has_1gib_pages);
        assert!(!features.has_hypervisor && !features.has_rdrand && !features.has_x2apic);
        assert_eq!(xsave_area_len(&modern, 0b111), Some(832));
        assert_eq!(xsave_area_len(&modern, 0b011), Some(576));
    }

    #[test]
    fn a_cpu_that_is_too_old_is_named_in_a_sentence() {
        let old = |eax, ecx| match eax {
            1 => result(
                0,
                0,
                1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 23,
                1 << 4 | 1 << 9,
            ),
            _ => modern(eax, ecx),
        };
        let missing = CpuFeatures::from_cpuid(&CpuId::with_cpuid_reader(old))
            .missing_baseline
            .unwrap();
        assert_eq!(missing, MissingFeature("SSE4.2"));
    }

    #[test]
    fn garbage_from_cpuid_is_survived() {
        for fill in [0, 1, 0x8000_0000, 0xffff_ffff, 0x4141_4141, 0xc3c3_c3c3] {
            let garbage = move |eax: u32, _| match eax {
                0 | 0x4000_0000 | 0x8000_0000 => result(u32::MAX, fill, fill, fill),
                _ => result(fill, fill, fill, fill),
            };
            let features = CpuFeatures::from_cpuid(&CpuId::with_cpuid_reader(garbage));
            assert!(features.brand.as_str().len() <= BRAND_MAX_BYTES);
            let len = xsave_area_len(&garbage, u64::MAX);
            assert!(len.is_none_or(|len| len <= XSAVE_MAX_LEN_BYTES));
        }
    }

    #[test]
    fn the_host_itself_can_be_asked() {
        assert!(!CpuFeatures::detect().vendor.as_str().is_empty());
    }
}
