//! Patterns to file names.

use std::fs;

use crate::pattern::{Marked, Pattern};

/// How many names one pattern may become.
const NAMES_MAX: usize = 1 << 16;

/// The existing paths that a pattern matches, sorted, as they are written from `folder` on.
pub(super) fn matching(folder: &str, pattern: &[Marked], with_dots: bool) -> Vec<String> {
    let is_absolute = pattern.first().is_some_and(|(c, _)| *c == '/');
    let components: Vec<&[Marked]> = pattern.split(|(c, _)| *c == '/').collect();
    let mut found = vec![String::new()];
    for (index, component) in components.iter().enumerate() {
        let is_last = index + 1 == components.len();
        let step =
            |start: &String| matching_component(folder, start, component, is_last, with_dots);
        found = found.iter().flat_map(step).take(NAMES_MAX).collect();
        if index == 0 && is_absolute {
            found = vec!["/".into()];
        }
    }
    found.sort();
    found
}

/// `start` with each entry behind it that one component of the pattern matches, and a slash where more follows.
fn matching_component(
    folder: &str,
    start: &str,
    component: &[Marked],
    is_last: bool,
    with_dots: bool,
) -> Vec<String> {
    let pattern = Pattern::new(component);
    let slash = if is_last { "" } else { "/" };
    let place = if start.starts_with('/') {
        start.to_owned()
    } else {
        format!("{folder}/{start}")
    };
    if !pattern.is_magic() {
        let path = format!("{start}{}{slash}", pattern.literal());
        let is_there = fs::symlink_metadata(format!("{place}{}", pattern.literal())).is_ok();
        return if is_there || component.is_empty() {
            vec![path]
        } else {
            Vec::new()
        };
    }
    let Ok(entries) = fs::read_dir(&place) else {
        return Vec::new();
    };
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let is_shown = !name.starts_with('.') || with_dots || pattern.begins_with('.');
        let leads_on = || {
            is_last || fs::metadata(format!("{place}/{name}")).is_ok_and(|target| target.is_dir())
        };
        (is_shown && pattern.matches(&name) && leads_on()).then_some(name)
    });
    names.map(|name| format!("{start}{name}{slash}")).collect()
}
