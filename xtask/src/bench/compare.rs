//! Ratios between the two sides.
//!
//! Law: a ratio is taken within one round, in which both sides ran shortly after each other on the same host, and is
//! never taken across rounds. It is "KPIO by Linux" where lower is better and "Linux by KPIO" where
//! higher is, so that below 1 always means that KPIO is ahead.

use std::collections::BTreeMap;

use super::record::Record;
use super::statistics::{Spread, best};

/// Which side a result is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The peer.
    Linux,
    /// This system.
    Kpio,
}

/// A figure of both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// `SUITE.NAME`, without the name of a guest.
    pub name: String,
    /// Unit of both.
    pub unit: String,
    /// The peer's value, round by round.
    pub linux: Spread,
    /// KPIO's.
    pub kpio: Spread,
    /// See the module's law.
    pub ratio: Spread,
    /// In how many rounds both sides had a value.
    pub rounds: usize,
}

/// Values of one figure by round.
#[derive(Clone, Debug, Default)]
struct Figure {
    unit: String,
    higher_is_better: bool,
    values: [BTreeMap<u32, f64>; 2],
}

/// All results so far.
#[derive(Clone, Debug, Default)]
pub struct Results {
    figures: BTreeMap<String, Figure>,
    /// Names in the order in which they came.
    order: Vec<String>,
}

impl Results {
    /// Adds a result of one round.
    pub fn add(&mut self, side: Side, round: u32, record: &Record) {
        let name = common_name(record);
        let higher_is_better = record.better == "higher";
        let value = value(record, higher_is_better);
        let Some(value) = value.filter(|_| record.better != "info") else {
            return;
        };
        if !self.figures.contains_key(&name) {
            self.order.push(name.clone());
        }
        let figure = self.figures.entry(name).or_default();
        record.unit.clone_into(&mut figure.unit);
        figure.higher_is_better = higher_is_better;
        figure.values[side as usize].insert(round, value);
    }

    /// Adds what is computed from two figures of the same round: the later stage less the earlier one.
    pub fn add_difference(&mut self, name: &str, later: &str, earlier: &str) {
        let (Some(later), Some(earlier)) = (self.figures.get(later), self.figures.get(earlier))
        else {
            return;
        };
        let mut difference = later.clone();
        for (later, earlier) in difference.values.iter_mut().zip(&earlier.values) {
            later.retain(|round, _| earlier.contains_key(round));
            for (round, value) in later {
                *value -= earlier[round];
            }
        }
        self.figures.insert(name.to_owned(), difference);
        self.order.push(name.to_owned());
    }

    /// Figures that both sides have, in the order in which they came.
    pub fn comparisons(&self) -> Vec<Comparison> {
        self.order
            .iter()
            .filter_map(|name| self.comparison(name))
            .collect()
    }

    /// A figure that both sides have.
    pub fn comparison(&self, name: &str) -> Option<Comparison> {
        let figure = self.figures.get(name)?;
        let [linux, kpio] = &figure.values;
        let common = linux
            .iter()
            .filter_map(|(round, linux)| Some((*linux, *kpio.get(round)?)));
        let pairs: Vec<(f64, f64)> = common.collect();
        let ratios: Vec<f64> = pairs
            .iter()
            .map(|(linux, kpio)| {
                if figure.higher_is_better {
                    linux / kpio
                } else {
                    kpio / linux
                }
            })
            .collect();
        let values =
            |side: &BTreeMap<u32, f64>| Spread::of(&side.values().copied().collect::<Vec<_>>());
        Some(Comparison {
            name: name.to_owned(),
            unit: figure.unit.clone(),
            linux: values(linux)?,
            kpio: values(kpio)?,
            ratio: Spread::of(&ratios)?,
            rounds: pairs.len(),
        })
    }

    /// Figures that only one side has, with its values.
    pub fn of_one_side(&self, side: Side) -> Vec<(&str, &str, Spread)> {
        let other = match side {
            Side::Linux => Side::Kpio,
            Side::Kpio => Side::Linux,
        };
        let figures = self.order.iter().map(|name| (name, &self.figures[name]));
        let alone = figures.filter(|(_, figure)| figure.values[other as usize].is_empty());
        alone
            .filter_map(|(name, figure)| {
                let values: Vec<f64> = figure.values[side as usize].values().copied().collect();
                Some((name.as_str(), figure.unit.as_str(), Spread::of(&values)?))
            })
            .collect()
    }
}

/// Boots and memory are named after the guest in front; the suites inside a guest are not.
fn common_name(record: &Record) -> String {
    let suite = &record.suite;
    if !["boot", "memory"].contains(&suite.as_str()) {
        return format!("{suite}.{}", record.name);
    }
    let stage = record.name.rsplit('.').next().unwrap_or_default();
    format!("{suite}.{stage}")
}

/// Of a boot, what it would have taken on a quiet host.
fn value(record: &Record, higher_is_better: bool) -> Option<f64> {
    match record.host.net {
        Some(net) if record.suite == "boot" => Some(net),
        _ => best(&record.samples, higher_is_better),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(suite: &str, name: &str, better: &str, samples: &[f64]) -> Record {
        Record {
            suite: suite.into(),
            name: name.into(),
            unit: "ns".into(),
            better: better.into(),
            samples: samples.into(),
            ..Record::default()
        }
    }

    #[test]
    fn ratios_are_taken_within_rounds_and_below_one_means_ahead() {
        let mut results = Results::default();
        for (round, linux, kpio) in [(0, 100.0, 50.0), (1, 300.0, 60.0)] {
            results.add(
                Side::Linux,
                round,
                &record("native", "a", "lower", &[linux, linux + 9.0]),
            );
            results.add(Side::Kpio, round, &record("native", "a", "lower", &[kpio]));
            results.add(
                Side::Linux,
                round,
                &record("native", "b", "higher", &[linux]),
            );
            results.add(Side::Kpio, round, &record("native", "b", "higher", &[kpio]));
        }
        // A round that one side did not finish counts for neither ratio.
        results.add(Side::Linux, 2, &record("native", "a", "lower", &[1.0]));
        let a = results.comparison("native.a").unwrap();
        assert_eq!((a.ratio.min, a.ratio.max, a.rounds), (0.2, 0.5, 2));
        let b = results.comparison("native.b").unwrap();
        assert_eq!((b.ratio.min, b.ratio.max), (2.0, 5.0));
    }

    #[test]
    fn guests_names_are_cut_off_where_they_stand() {
        let boot = record("boot", "linux.esp.prompt", "lower", &[1.0]);
        assert_eq!(common_name(&boot), "boot.prompt");
        let native = record("native", "thread.create_join", "lower", &[1.0]);
        assert_eq!(common_name(&native), "native.thread.create_join");
    }

    #[test]
    fn of_a_boot_the_quiet_hosts_time_counts_and_stages_are_subtracted_by_round() {
        let mut results = Results::default();
        for (round, loader, prompt) in [(0, 2.0, 5.0), (1, 3.0, 7.0)] {
            for (name, net) in [("x.loader", loader), ("x.prompt", prompt)] {
                let mut record = record("boot", name, "lower", &[99.0]);
                record.host.net = Some(net);
                results.add(Side::Linux, round, &record);
                results.add(Side::Kpio, round, &record);
            }
        }
        results.add_difference("boot.loader_to_prompt", "boot.prompt", "boot.loader");
        let boot = results.comparison("boot.loader_to_prompt").unwrap();
        assert_eq!((boot.linux.min, boot.linux.max), (3.0, 4.0));
    }

    #[test]
    fn what_only_one_side_has_is_told_apart() {
        let mut results = Results::default();
        results.add(
            Side::Linux,
            0,
            &record("native", "process.fork_exit_wait", "lower", &[1.0]),
        );
        results.add(
            Side::Kpio,
            0,
            &record("native", "heap.malloc_free_64", "lower", &[1.0]),
        );
        results.add(Side::Kpio, 0, &record("wasm", "size.hello", "info", &[1.0]));
        assert_eq!(
            results.of_one_side(Side::Linux)[0].0,
            "native.process.fork_exit_wait"
        );
        assert_eq!(results.of_one_side(Side::Kpio).len(), 1);
        assert!(results.comparisons().is_empty());
    }
}
