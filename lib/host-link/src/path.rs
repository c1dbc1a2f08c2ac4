//! Which paths a tree entry may have: `/`, or `/` before each of its components, none of them empty,
//! `.` or `..`, and no NUL. Joined to a folder, such a path stays below it.

use contract_host_link::PATH_LEN_BYTES_MAX;

/// Whether `path` is absolute, normalised and short enough.
pub(crate) fn is_normalised(path: &str) -> bool {
    let Some(components) = path.strip_prefix('/') else {
        return false;
    };
    path.len() <= PATH_LEN_BYTES_MAX
        && !path.contains('\0')
        && (components.is_empty() || components.split('/').all(is_name))
}

fn is_name(component: &str) -> bool {
    !matches!(component, "" | "." | "..")
}

#[cfg(test)]
mod tests {
    use super::is_normalised;

    #[test]
    fn only_paths_that_stay_below_their_folder_pass() {
        for good in ["/", "/a", "/a/b.c", "/a/...", "/é"] {
            assert!(is_normalised(good), "{good}");
        }
        for bad in [
            "", "a", "/a/", "//a", "/a//b", "/..", "/a/../b", "/.", "/a\0",
        ] {
            assert!(!is_normalised(bad), "{bad}");
        }
    }
}
