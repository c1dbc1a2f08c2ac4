//! Every sentence that the README promises is one that the loader can say, and the other way round.

use boot_loader::LoadError;
use boot_loader::memory_map::TooManyRanges;
use boot_loader::page_tables::MapError;
use lib_bundle::BundleError;
use lib_bundle::manifest::ManifestError;
use lib_elf::ElfError;

const README: &str = include_str!("../README.md");

/// One of each, with what the README calls its variable parts.
fn all() -> Vec<(LoadError, &'static [(&'static str, &'static str)])> {
    use LoadError as E;
    let name = "bundle";
    vec![
        (E::NoExecuteDisable, &[]),
        (E::FiveLevelPaging, &[]),
        (E::NoVolume { efi_status: 77 }, &[("77", "N")]),
        (E::FileMissing { name }, &[("bundle", "NAME")]),
        (E::FileNotListed { name }, &[("bundle", "NAME")]),
        (E::ManifestTooLong { found_bytes: 77 }, &[("77", "N")]),
        (
            ManifestError::NotUtf8.into(),
            &[("the hash list is not text", "REASON")],
        ),
        (
            E::WrongLength {
                name,
                listed_bytes: 77,
                found_bytes: 88,
            },
            &[("bundle", "NAME"), ("77", "N"), ("88", "M")],
        ),
        (
            E::ReadFailed {
                name,
                efi_status: 77,
            },
            &[("bundle", "NAME"), ("77", "N")],
        ),
        (E::WrongHash { name }, &[("bundle", "NAME")]),
        (
            E::Bundle {
                name,
                reason: BundleError::WrongMagic,
            },
            &[
                ("kpio\\bundle", "kpio\\NAME"),
                (
                    "this is not a bundle: it does not start with KPIOBNDL",
                    "REASON",
                ),
            ],
        ),
        (
            ElfError::NotElf.into(),
            &[("it is not an ELF file", "REASON")],
        ),
        (E::CommandLineNotText, &[]),
        (
            E::NoMemory {
                purpose: "the kernel",
                len_bytes: 77 << 10,
                largest_free_bytes: 88 << 10,
            },
            &[("the kernel", "PURPOSE"), ("77", "N"), ("88", "M")],
        ),
        (
            E::NoMemoryForFile {
                name,
                len_bytes: 77 << 10,
                found_bytes: 88 << 10,
            },
            &[("bundle", "NAME"), ("77", "N"), ("88", "M")],
        ),
        (E::NoImage { efi_status: 77 }, &[("77", "N")]),
        (E::NoMemoryMap { efi_status: 77 }, &[("77", "N")]),
        (TooManyRanges.into(), &[]),
        (
            E::TooMuchMemory {
                ram_end_bytes: 0x77,
            },
            &[("0x77", "N")],
        ),
        (
            MapError::OutOfTables.into(),
            &[("there are too few of them", "REASON")],
        ),
    ]
}

#[test]
fn the_readme_lists_every_sentence() {
    let mut promised: Vec<&str> = README
        .lines()
        .filter_map(|line| line.strip_prefix("- "))
        .collect();
    promised.retain(|line| !line.starts_with("`src") && !line.starts_with("the loader has a bug"));
    let mut said = Vec::new();
    for (error, parts) in all() {
        let sentence = parts.iter().fold(error.to_string(), |text, (value, part)| {
            text.replace(value, part)
        });
        assert!(
            promised.iter().any(|line| line.starts_with(&sentence)),
            "not in the README: {sentence}"
        );
        said.push(sentence);
    }
    promised.retain(|line| {
        !said
            .iter()
            .any(|sentence| line.starts_with(sentence.as_str()))
    });
    assert_eq!(promised, Vec::<&str>::new(), "promised but never said");
}
