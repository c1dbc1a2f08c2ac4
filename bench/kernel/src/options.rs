//! What the command line asks for.

use bench_sampling::Plan;

/// What is measured, and how.
#[derive(Clone, Debug)]
pub struct Options {
    suites: Vec<String>,
    /// Names of figures contain it.
    pub filter: String,
    /// By clock or by count.
    pub plan: Plan,
}

impl Options {
    /// Reads the words; those that others know are not looked at.
    pub fn parse(command_line: &str) -> Self {
        let value = |key: &str| {
            let mut words = command_line.split(' ');
            words.find_map(|word| word.strip_prefix(key))
        };
        let counts = command_line.split(' ').any(|word| word == "count");
        Self {
            suites: value("suites=").map_or(Vec::new(), names),
            filter: value("filter=").unwrap_or_default().to_owned(),
            plan: if counts { Plan::Count } else { Plan::Time },
        }
    }

    /// Whether the suite of that name runs.
    pub fn wants(&self, suite: &str) -> bool {
        self.suites.iter().any(|name| name == suite)
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}
