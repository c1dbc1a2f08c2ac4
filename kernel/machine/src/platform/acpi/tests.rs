//! The tables on synthetic memory: whole, cut, garbled.

use super::*;
use alloc::collections::BTreeMap;
use alloc::vec;
use proptest::prelude::*;

/// RAM with holes.
#[derive(Clone, Default)]
struct Memory(BTreeMap<u64, Vec<u8>>);

impl PhysicalMemory for Memory {
    fn bytes(&self, start: u64, len_bytes: usize) -> Option<&[u8]> {
        let (at, bytes) = self.0.range(..=start).next_back()?;
        bytes.get((start - at) as usize..)?.get(..len_bytes)
    }
}

const RSDP: u64 = 0xe_0000;
const RSDT: u64 = 0x10_0000;
const XSDT: u64 = 0x11_0000;
const MADT: u64 = 0x12_0000;
const FADT: u64 = 0x13_0000;
const HPET: u64 = 0x14_0000;
const DSDT: u64 = 0x15_0000;

fn fix_checksum(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[at] = sum.wrapping_neg();
}

fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; tables::HEADER_LEN_BYTES];
    bytes[..4].copy_from_slice(signature);
    bytes.extend_from_slice(body);
    let len = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&len.to_le_bytes());
    fix_checksum(&mut bytes, 9);
    bytes
}

fn rsdp() -> Vec<u8> {
    let mut bytes = vec![0; 36];
    bytes[..8].copy_from_slice(b"RSD PTR ");
    bytes[15] = 2;
    bytes[16..20].copy_from_slice(&(RSDT as u32).to_le_bytes());
    bytes[20..24].copy_from_slice(&36u32.to_le_bytes());
    bytes[24..32].copy_from_slice(&XSDT.to_le_bytes());
    fix_checksum(&mut bytes[..20], 8);
    fix_checksum(&mut bytes, 32);
    bytes
}

fn madt(entries: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::from(0xfee0_1000u32.to_le_bytes());
    body.extend_from_slice(&1u32.to_le_bytes());
    body.extend(entries.concat());
    table(b"APIC", &body)
}

const CPU_0: &[u8] = &[0, 8, 7, 0, 1, 0, 0, 0];
const CPU_1_OFF: &[u8] = &[0, 8, 8, 1, 0, 0, 0, 0];
const CPU_BROADCAST: &[u8] = &[0, 8, 9, 0xff, 1, 0, 0, 0];
const X2_CPU_300: &[u8] = &[9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0];
const IO_APIC_0: &[u8] = &[1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0];
const TIMER_TO_2: &[u8] = &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0];
const SCI_LEVEL_LOW: &[u8] = &[2, 10, 0, 9, 20, 0, 0, 0, 0x0f, 0];

fn fadt() -> Vec<u8> {
    fadt_with(&[])
}

/// The FADT of a usual PC, with some bytes replaced.
fn fadt_with(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut body = vec![0; 244 - tables::HEADER_LEN_BYTES];
    let mut put = |offset: usize, bytes: &[u8]| {
        let at = offset - tables::HEADER_LEN_BYTES;
        body[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(40, &(DSDT as u32).to_le_bytes());
    put(46, &9u16.to_le_bytes());
    put(48, &0xb2u32.to_le_bytes());
    put(52, &[0xf1]);
    put(64, &0x604u32.to_le_bytes());
    put(76, &0x608u32.to_le_bytes());
    put(108, &[0x32]);
    put(112, &(1u32 << 8 | 1 << 10).to_le_bytes());
    put(116, &[1, 8, 0, 1]);
    put(120, &0xcf9u64.to_le_bytes());
    put(128, &[0x0f]);
    changes
        .iter()
        .for_each(|(offset, bytes)| put(*offset, bytes));
    table(b"FACP", &body)
}

fn hpet() -> Vec<u8> {
    let mut body = vec![0; 20];
    body[8..16].copy_from_slice(&0xfed0_0000u64.to_le_bytes());
    table(b"HPET", &body)
}

fn pc() -> Memory {
    let listed = [MADT, FADT, HPET];
    let wide: Vec<u8> = listed.iter().flat_map(|at| at.to_le_bytes()).collect();
    let narrow: Vec<u8> = listed
        .iter()
        .flat_map(|at| (*at as u32).to_le_bytes())
        .collect();
    let entries = [
        CPU_0,
        CPU_1_OFF,
        CPU_0,
        CPU_BROADCAST,
        X2_CPU_300,
        IO_APIC_0,
        TIMER_TO_2,
        SCI_LEVEL_LOW,
    ];
    Memory(BTreeMap::from([
        (RSDP, rsdp()),
        (RSDT, table(b"RSDT", &narrow)),
        (XSDT, table(b"XSDT", &wide)),
        (MADT, madt(&entries)),
        (FADT, fadt()),
        (HPET, hpet()),
        (
            DSDT,
            table(b"DSDT", b"\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05"),
        ),
    ]))
}

fn complaints_without(memory: &Memory) -> Vec<AcpiComplaint> {
    discover_in(memory, RSDP).complaints
}

#[test]
fn a_whole_machine_is_read() {
    let Discovery {
        platform,
        complaints,
    } = discover_in(&pc(), RSDP);
    assert_eq!(complaints, []);
    let cpu = |apic_id, acpi_uid, enabled| Processor {
        apic_id,
        acpi_uid,
        enabled,
    };
    assert_eq!(
        platform.processors,
        [cpu(0, 7, true), cpu(1, 8, false), cpu(300, 9, true)]
    );
    assert_eq!(platform.local_apic_address, 0xfee0_1000);
    assert_eq!(
        platform.io_apics,
        [IoApicInfo {
            id: 2,
            address: 0xfec0_0000,
            gsi_base: 0
        }]
    );
    assert!(platform.has_legacy_pics);
    assert_eq!(platform.hpet_address, Some(0xfed0_0000));
    assert_eq!(
        platform.pm_timer,
        Some(PmTimerInfo {
            port: 0x608,
            is_32_bit: true
        })
    );
    assert_eq!(platform.reset, Some((ResetRegister::Port(0xcf9), 0x0f)));
    assert_eq!(platform.sci, Some(9));
    assert_eq!(platform.s5, Some(SleepType { pm1a: 5, pm1b: 5 }));
    assert_eq!(platform.rtc_century_register, Some(0x32));
    let control = platform.pm_control.unwrap();
    assert_eq!((control.pm1a, control.pm1b), (0x604, None));
    assert_eq!(control.acpi_enable, Some((0xb2, 0xf1)));
}

#[test]
fn isa_interrupts_follow_overrides() {
    let platform = discover_in(&pc(), RSDP).platform;
    assert_eq!(platform.isa_interrupt(0).gsi, 2);
    let sci = platform.isa_interrupt(9);
    assert_eq!((sci.gsi, sci.polarity), (20, Polarity::ActiveLow));
    assert_eq!(sci.trigger, Trigger::Level);
    let serial = platform.isa_interrupt(4);
    assert_eq!((serial.gsi, serial.trigger), (4, Trigger::Edge));
    assert_eq!(serial.polarity, Polarity::ActiveHigh);
}

#[test]
fn a_bad_wide_root_falls_back_to_the_narrow_one() {
    let mut memory = pc();
    memory.0.get_mut(&XSDT).unwrap()[10] ^= 1;
    assert_eq!(discover_in(&memory, RSDP).platform.processors.len(), 3);
}

#[test]
fn each_bad_table_is_named_and_the_rest_is_kept() {
    let mut no_madt = pc();
    no_madt.0.get_mut(&MADT).unwrap()[60] ^= 0x10;
    let found = discover_in(&no_madt, RSDP);
    let bad = TableError::BadChecksum(TableName::MADT, MADT);
    assert_eq!(found.complaints, [AcpiComplaint::Table(bad)]);
    assert!(found.platform.processors.is_empty());
    assert_eq!(
        found.platform.local_apic_address,
        LOCAL_APIC_DEFAULT_ADDRESS
    );
    assert!(found.platform.s5.is_some());

    let mut no_dsdt = pc();
    no_dsdt.0.remove(&DSDT);
    let missing = TableError::OutsideRam(TableName::DSDT, DSDT);
    assert_eq!(
        complaints_without(&no_dsdt),
        [AcpiComplaint::Table(missing)]
    );
}

#[test]
fn absurd_lengths_are_refused() {
    for claimed in [0, 35, (16 << 20) + 1, u32::MAX] {
        let mut memory = pc();
        memory.0.get_mut(&MADT).unwrap()[4..8].copy_from_slice(&claimed.to_le_bytes());
        let bad = AcpiComplaint::Table(TableError::BadLength(TableName::MADT, claimed));
        assert_eq!(complaints_without(&memory), [bad]);
    }
}

#[test]
fn no_root_pointer_still_gives_a_platform() {
    let found = discover_in(&Memory::default(), 0);
    assert_eq!(found.complaints, [AcpiComplaint::NoRootPointer]);
    assert_eq!(found.platform, Platform::unknown());
    let found = discover_in(&Memory::default(), u64::MAX);
    assert_eq!(found.platform, Platform::unknown());
}

#[test]
fn tables_are_believed_only_in_the_firmwares_memory() {
    let range = |kind| MemoryRange {
        start: 0x1000,
        len_bytes: 0x2000,
        kind,
        reserved: 0,
    };
    let acpi = range(memory_kind::ACPI_TABLES);
    assert!(holds_tables(&acpi, 0x1000, 0x2000));
    assert!(holds_tables(&range(memory_kind::FIRMWARE), 0x2fff, 1));
    assert!(!holds_tables(&acpi, 0x1000, 0x2001));
    assert!(!holds_tables(&acpi, 0xfff, 2));
    assert!(!holds_tables(&acpi, u64::MAX, usize::MAX));
    for kind in [
        memory_kind::USABLE,
        memory_kind::KERNEL,
        memory_kind::RESERVED,
        99,
    ] {
        assert!(!holds_tables(&range(kind), 0x1000, 1));
    }
}

fn platform_with_fadt(fadt: Vec<u8>) -> Platform {
    let mut memory = pc();
    memory.0.insert(FADT, fadt);
    discover_in(&memory, RSDP).platform
}

#[test]
fn wide_port_addresses_win_where_they_name_ports() {
    let io = [1, 16, 0, 2, 0x04, 0xb0, 0, 0, 0, 0, 0, 0];
    let platform = platform_with_fadt(fadt_with(&[(172, &io), (184, &io)]));
    let control = platform.pm_control.unwrap();
    assert_eq!((control.pm1a, control.pm1b), (0xb004, Some(0xb004)));

    let mut memory_space = io;
    memory_space[0] = 0;
    let mut beyond_ports = io;
    beyond_ports[6] = 1;
    for useless in [memory_space, beyond_ports] {
        let platform = platform_with_fadt(fadt_with(&[(172, &useless)]));
        assert_eq!(platform.pm_control.unwrap().pm1a, 0x604);
    }
}

#[test]
fn reset_registers_of_all_spaces_are_read() {
    let reset = |space: u8, address: u64| {
        let changes: [(usize, &[u8]); 2] = [(116, &[space]), (120, &address.to_le_bytes())];
        let platform = platform_with_fadt(fadt_with(&changes));
        platform.reset.map(|(register, _)| register)
    };
    let pci = ResetRegister::PciConfiguration {
        device: 31,
        function: 2,
        offset: 0x40,
    };
    assert_eq!(reset(2, 0x1f_0002_0040), Some(pci));
    assert_eq!(
        reset(0, 0xfed0_0001),
        Some(ResetRegister::Memory(0xfed0_0001))
    );
    assert_eq!(reset(2, 0x20_0000_0000), None);
    assert_eq!(reset(1, 0x1_0000), None);
    assert_eq!(reset(9, 0xcf9), None);
    assert_eq!(reset(1, 0), None);
}

#[test]
fn hardware_reduced_machines_have_no_fixed_ports() {
    let flags = (1u32 << 20).to_le_bytes();
    let platform = platform_with_fadt(fadt_with(&[(112, &flags)]));
    assert_eq!(platform.pm_control, None);
    assert_eq!(platform.pm_timer, None);
    assert_eq!(platform.reset, None);
}

#[test]
fn firmware_may_say_that_there_is_no_keyboard_controller() {
    let has = |revision: u8, flags: u16| {
        let mut table = fadt_with(&[(109, &flags.to_le_bytes())]);
        table[9] = table[9].wrapping_add(table[8]).wrapping_sub(revision);
        table[8] = revision;
        platform_with_fadt(table).may_have_i8042
    };
    assert!(has(6, 1 << 1) && has(3, 1 << 1));
    assert!(!has(6, 0) && !has(3, 1));
    assert!(has(1, 0));
}

#[test]
fn a_short_old_fadt_is_read_as_far_as_it_goes() {
    let whole = fadt();
    for len in tables::HEADER_LEN_BYTES..116 {
        let platform = platform_with_fadt(table(b"FACP", &whole[tables::HEADER_LEN_BYTES..len]));
        assert_eq!(platform.reset, None);
        assert_eq!(platform.pm_timer.is_some(), len >= 80);
    }
}

#[test]
fn the_local_apic_address_can_be_overridden() {
    let mut memory = pc();
    let address = [5, 12, 0, 0, 0, 0x20, 0xe0, 0xfe, 1, 0, 0, 0];
    memory.0.insert(MADT, madt(&[CPU_0, &address]));
    let platform = discover_in(&memory, RSDP).platform;
    assert_eq!(platform.local_apic_address, 0x1_fee0_2000);
}

#[test]
fn devices_in_ram_are_dropped() {
    let mut found = discover_in(&pc(), RSDP);
    let ram = |start, kind| MemoryRange {
        start,
        len_bytes: 0x1000,
        kind,
        reserved: 0,
    };
    let map = [
        ram(0xfec0_0000, memory_kind::USABLE),
        ram(0xfed0_0000, memory_kind::RESERVED),
        ram(0xfee0_1000, memory_kind::KERNEL),
    ];
    drop_devices_in_ram(&mut found, &map);
    assert_eq!(found.platform.io_apics, []);
    assert_eq!(found.platform.hpet_address, Some(0xfed0_0000));
    assert_eq!(
        found.platform.local_apic_address,
        LOCAL_APIC_DEFAULT_ADDRESS
    );
    let dropped = [0xfec0_0000, 0xfee0_1000].map(AcpiComplaint::DeviceInRam);
    assert_eq!(found.complaints, dropped);
}

#[test]
fn entries_of_no_length_end_the_madt() {
    let mut memory = pc();
    memory.0.insert(MADT, madt(&[CPU_0, &[0, 0], CPU_1_OFF]));
    assert_eq!(discover_in(&memory, RSDP).platform.processors.len(), 1);
    memory.0.insert(MADT, madt(&[CPU_0, &[0, 3, 0], CPU_1_OFF]));
    assert_eq!(discover_in(&memory, RSDP).platform.processors.len(), 2);
}

#[test]
fn a_flood_of_processors_is_capped() {
    let flood: Vec<u8> = (0..20_000u32)
        .flat_map(|id| {
            let mut entry = X2_CPU_300.to_vec();
            entry[4..8].copy_from_slice(&id.to_le_bytes());
            entry
        })
        .collect();
    let mut memory = pc();
    memory.0.insert(MADT, madt(&[&flood]));
    assert_eq!(discover_in(&memory, RSDP).platform.processors.len(), 1024);
}

proptest! {
    #[test]
    fn garbled_tables_are_survived(
        which in 0usize..7,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        fix in any::<bool>(),
    ) {
        let mut memory = pc();
        let bytes = memory.0.values_mut().nth(which).unwrap();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if fix && which > 0 {
            fix_checksum(bytes, 9);
        }
        let found = discover_in(&memory, RSDP);
        prop_assert!(found.platform.processors.len() <= 1024);
    }
}
