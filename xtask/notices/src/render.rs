//! The notices as Markdown: a list of what is used, then each text once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::failure::{Failure, Result};
use crate::graph::Package;
use crate::licence::{Allowed, Licences};
use crate::texts;

const HEAD: &str = "\
# Third-party notices

What an image of KPIO holds that others wrote. Where something is offered under several licences, the one named here is used.
Sources of every package are on the cargo registry under the name and version given.

This file is made by `xtask/notices`; do not edit it.
";

/// One package with all parts it is in.
struct Entry<'a> {
    package: &'a Package,
    licences: Licences,
    parts: BTreeSet<&'a str>,
}

/// Writes everything. An error lists all packages with something wrong.
pub fn render(
    contents: &[(String, Vec<Package>)],
    allowed: &Allowed,
    apache: &str,
) -> Result<String> {
    let entries = entries(contents, allowed)?;
    let texts = texts_of(&entries)?;
    let mut out = HEAD.to_owned();
    write_list(&mut out, &entries);
    write_text(&mut out, "Apache-2.0", apache);
    for (name, text) in texts::OTHERS {
        write_text(&mut out, name, text);
    }
    for (text, names) in by_first_name(texts) {
        write_text(&mut out, &names.join(", "), &text);
    }
    Ok(out)
}

fn entries<'a>(
    contents: &'a [(String, Vec<Package>)],
    allowed: &Allowed,
) -> Result<BTreeMap<(&'a str, &'a str), Entry<'a>>> {
    let mut entries = BTreeMap::new();
    let mut findings = BTreeSet::new();
    for (part, packages) in contents {
        for package in packages {
            match allowed.choose(package.license.as_deref().unwrap_or_default()) {
                Ok(licences) => {
                    let key = (package.name.as_str(), package.version.as_str());
                    let entry = entries.entry(key).or_insert_with(|| Entry {
                        package,
                        licences,
                        parts: BTreeSet::new(),
                    });
                    entry.parts.insert(part);
                }
                Err(why) => {
                    findings.insert(format!("{} {} {why}", package.name, package.version));
                }
            }
        }
    }
    refuse(findings)?;
    Ok(entries)
}

fn refuse(findings: BTreeSet<String>) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure::Packages(findings.into_iter().collect()))
}

/// Each text with the packages that bring it.
fn texts_of(entries: &BTreeMap<(&str, &str), Entry<'_>>) -> Result<BTreeMap<String, Vec<String>>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut findings = BTreeSet::new();
    for ((name, version), entry) in entries {
        let Some(own) = texts::texts(entry.package, &entry.licences)? else {
            findings.insert(format!("{name} {version} brings no text of its licence"));
            continue;
        };
        for text in own {
            let names = texts.entry(text).or_default();
            names.push(format!("{name} {version}"));
            names.dedup();
        }
    }
    refuse(findings)?;
    Ok(texts)
}

/// In the order of the first package of each text; texts themselves have no order that means anything.
fn by_first_name(texts: BTreeMap<String, Vec<String>>) -> Vec<(String, Vec<String>)> {
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    texts
}

fn write_list(out: &mut String, entries: &BTreeMap<(&str, &str), Entry<'_>>) {
    out.push_str("\n| package | used under | part of |\n|---|---|---|\n");
    for ((name, version), entry) in entries {
        let licences = entry.licences.iter().map(String::as_str);
        let licences = licences.collect::<Vec<_>>().join(" and ");
        let parts = entry.parts.iter().copied().collect::<Vec<_>>().join(", ");
        push(
            out,
            format_args!("| {name} {version} | {licences} | {parts} |\n"),
        );
    }
    out.push_str(
        "
The text of Apache-2.0 serves all that is used under it, and the LLVM exception all that has it. ",
    );
    out.push_str(
        "Other texts follow, each with what it is of.
",
    );
}

/// Indented, so that nothing in a text is Markdown.
fn write_text(out: &mut String, heading: &str, text: &str) {
    push(out, format_args!("\n## {heading}\n\n"));
    for line in text.trim_matches('\n').lines() {
        let line = line.trim_end();
        let indent = if line.is_empty() { "" } else { "    " };
        push(out, format_args!("{indent}{line}\n"));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A `String` takes everything.
    let _written = out.write_fmt(text);
}
