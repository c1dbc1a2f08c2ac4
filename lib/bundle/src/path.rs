//! What a path in a bundle may be, and the order of entries.
//!
//! A path is absolute and normalised: `/`, or `/` before each of one or more components. A component is
//! UTF-8, not empty, neither `.` nor `..`, without NUL. So a path has one spelling, and no path
//! leaves the tree.

use core::cmp::Ordering;
use core::fmt;

/// Longest path, in bytes.
pub const PATH_LEN_MAX_BYTES: usize = 4096;
/// Longest component of a path, in bytes.
pub const COMPONENT_LEN_MAX_BYTES: usize = 255;

/// Why a path or a symbolic link's target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It does not start with `/`.
    NotAbsolute,
    /// Longer than [`PATH_LEN_MAX_BYTES`].
    TooLong,
    /// A component is longer than [`COMPONENT_LEN_MAX_BYTES`].
    ComponentTooLong,
    /// Two slashes in a row, or one at the end.
    EmptyComponent,
    /// A component is `.` or `..`.
    DotComponent,
    /// It contains a NUL byte.
    Nul,
    /// It is not UTF-8.
    NotUtf8,
    /// A symbolic link's target is empty.
    EmptyTarget,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "it does not start with '/'",
            Self::TooLong => "it is longer than 4096 bytes",
            Self::ComponentTooLong => "a component is longer than 255 bytes",
            Self::EmptyComponent => "it has an empty component",
            Self::DotComponent => "it has a component '.' or '..'",
            Self::Nul => "it contains a NUL byte",
            Self::NotUtf8 => "it is not UTF-8",
            Self::EmptyTarget => "it is empty",
        })
    }
}

/// Checks that `bytes` are a path, and gives it as text.
pub(crate) fn parse_path(bytes: &[u8]) -> Result<&str, PathError> {
    let text = parse_text(bytes)?;
    let components = text.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
    if !components.is_empty() {
        components.split('/').try_for_each(check_component)?;
    }
    Ok(text)
}

/// Checks that `bytes` can be a symbolic link's target. It need not be normalised nor lead anywhere:
/// who follows it decides.
pub(crate) fn parse_target(bytes: &[u8]) -> Result<&str, PathError> {
    match parse_text(bytes)? {
        "" => Err(PathError::EmptyTarget),
        text => Ok(text),
    }
}

fn parse_text(bytes: &[u8]) -> Result<&str, PathError> {
    if bytes.len() > PATH_LEN_MAX_BYTES {
        return Err(PathError::TooLong);
    }
    if bytes.contains(&0) {
        return Err(PathError::Nul);
    }
    core::str::from_utf8(bytes).map_err(|_| PathError::NotUtf8)
}

fn check_component(component: &str) -> Result<(), PathError> {
    match component {
        "" => Err(PathError::EmptyComponent),
        "." | ".." => Err(PathError::DotComponent),
        _ if component.len() > COMPONENT_LEN_MAX_BYTES => Err(PathError::ComponentTooLong),
        _ => Ok(()),
    }
}

/// Splits a valid path into its parent directory and its name: `/a/b` into `/a` and `b`, `/a` into `/`
/// and `a`. The root has neither: both are empty.
pub(crate) fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", "")) | None => ("", ""),
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
    }
}

/// The order of entries: by parent directory, then by name, bytewise. So a directory's children are
/// neighbours, the root is first, and a directory comes before what is in it.
pub(crate) fn order(left: &str, right: &str) -> Ordering {
    split(left).cmp(&split(right))
}
