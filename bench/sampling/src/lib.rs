//! How a figure is taken: operations are repeated until a sample is long enough, and samples are taken until there are
//! enough of them. The same code runs in the kernel's benchmarks and in those for WebAssembly.
//!
//! Law: a body does as many operations as it is told and says how long they took; what it prepares before and
//! tidies up after is not in that time. One line of JSON per result goes to the output, in the form of
//! [`Meter::line`]:
//!
//! ```text
//! {"suite":"native","name":"clock.gettime_user","unit":"ns","better":"lower","iters":81920,"samples":[61.2,61.3]}
//! {"suite":"native","name":"sched.futex_rtt_cross_cpu","error":"there is one CPU only"}
//! ```
//!
//! Samples are short and many: on a shared machine the quickest ones had a processor to themselves. Where the
//! machine counts instructions instead of telling the time ([`Plan::Count`]), few are enough, because all are nearly equal.

use std::fmt::Display;

/// Reads a clock: nanoseconds, or instructions where those are counted.
pub type Clock = fn() -> u64;

/// What a body says of its run: how long it took by the [`Clock`], or why it could not run.
pub type Elapsed = Result<u64, String>;

/// How many samples are taken, and how long each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// By a clock that shows nanoseconds.
    Time,
    /// By a clock that shows instructions, on a machine that does the same in every run.
    Count,
}

impl Plan {
    /// Samples of a figure whose operation is short.
    fn samples(self) -> usize {
        match self {
            Self::Time => 25,
            Self::Count => 5,
        }
    }

    /// Samples of a figure whose operation is long, or moves a fixed amount of data.
    fn slow_samples(self) -> usize {
        match self {
            Self::Time => 7,
            Self::Count => 3,
        }
    }

    /// How long a sample is to be, by the clock.
    fn sample_len(self) -> u64 {
        match self {
            Self::Time => 5_000_000,
            Self::Count => 1_000_000,
        }
    }

    /// After this long no further sample of a long operation is begun, by the clock.
    fn slow_patience(self) -> u64 {
        match self {
            Self::Time => 30_000_000_000,
            Self::Count => 2_000_000_000,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Time => "ns",
            Self::Count => "instructions",
        }
    }
}

/// Below this count of operations, or this length of a sample, calibration goes on.
const OPERATIONS_MAX: u64 = 1 << 40;
/// Calibration is begun anew so often, at most.
const CALIBRATIONS_MAX: usize = 4;
/// A long operation is done at least so often.
const SLOW_SAMPLES_MIN: usize = 2;

/// Takes figures of one suite.
pub struct Meter<'a> {
    suite: &'a str,
    filter: &'a str,
    plan: Plan,
    clock: Clock,
    output: &'a mut dyn FnMut(&str),
}

impl<'a> Meter<'a> {
    /// Figures of `suite` whose names contain one of the parts of `filter`, which commas separate; each line goes to
    /// `output`.
    pub fn new(
        suite: &'a str,
        filter: &'a str,
        plan: Plan,
        clock: Clock,
        output: &'a mut dyn FnMut(&str),
    ) -> Self {
        Self {
            suite,
            filter,
            plan,
            clock,
            output,
        }
    }

    /// Whether a figure of that name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filter.split(',').any(|part| name.contains(part))
    }

    /// What the names of figures contain: parts, separated by commas.
    pub fn filter(&self) -> &'a str {
        self.filter
    }

    /// How samples are taken.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// The clock that bodies measure by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Time, or instructions, per operation of a body that does as many as it is told.
    pub fn per_operation(&mut self, name: &str, mut body: impl FnMut(u64) -> Elapsed) {
        if !self.wants(name) {
            return;
        }
        match sample(self.plan, &mut body) {
            Ok((count, samples)) => self.result(name, self.plan.unit(), "lower", count, &samples),
            Err(why) => self.error(name, &why),
        }
    }

    /// As [`Meter::per_operation`] of an operation that needs no preparation and cannot fail.
    pub fn each(&mut self, name: &str, mut operation: impl FnMut()) {
        let clock = self.clock;
        self.per_operation(name, |count| {
            let start = clock();
            for _ in 0..count {
                operation();
            }
            Ok(clock() - start)
        });
    }

    /// As [`Meter::each`] of one that can fail.
    pub fn try_each<E: Display>(
        &mut self,
        name: &str,
        mut operation: impl FnMut() -> Result<(), E>,
    ) {
        let clock = self.clock;
        self.per_operation(name, |count| {
            let start = clock();
            for _ in 0..count {
                operation().map_err(|error| format!("{error:#}"))?;
            }
            Ok(clock() - start)
        });
    }

    /// Milliseconds, or instructions, of one operation that takes long.
    pub fn long<E: Display>(&mut self, name: &str, mut operation: impl FnMut() -> Result<(), E>) {
        if !self.wants(name) {
            return;
        }
        let begun = (self.clock)();
        let mut samples = Vec::new();
        while samples.len() < self.plan.slow_samples() && self.has_patience(begun, samples.len()) {
            let start = (self.clock)();
            if let Err(error) = operation() {
                return self.error(name, &format!("{error:#}"));
            }
            samples.push(((self.clock)() - start) as f64);
        }
        match self.plan {
            Plan::Time => {
                let samples: Vec<f64> = samples.iter().map(|ns| ns / 1e6).collect();
                self.result(name, "ms", "lower", 1, &samples);
            }
            Plan::Count => self.result(name, self.plan.unit(), "lower", 1, &samples),
        }
    }

    fn has_patience(&self, begun: u64, samples: usize) -> bool {
        samples < SLOW_SAMPLES_MIN || (self.clock)() - begun < self.plan.slow_patience()
    }

    /// Throughput in MB/s (of 10⁶ bytes) of a body that moves `bytes` in each of `count` operations. Counted in
    /// instructions, it is those of one operation.
    pub fn throughput(
        &mut self,
        name: &str,
        count: u64,
        bytes: u64,
        mut body: impl FnMut(u64) -> Elapsed,
    ) {
        if !self.wants(name) {
            return;
        }
        let samples: Result<Vec<u64>, String> = (0..self.plan.slow_samples())
            .map(|_| body(count).map(|elapsed| elapsed.max(1)))
            .collect();
        let samples = match samples {
            Ok(samples) => samples,
            Err(why) => return self.error(name, &why),
        };
        match self.plan {
            Plan::Time => {
                let moved = (bytes * count) as f64 * 1000.0;
                let samples: Vec<f64> = samples.iter().map(|ns| moved / *ns as f64).collect();
                self.result(name, "MB/s", "higher", count, &samples);
            }
            Plan::Count => {
                let samples: Vec<f64> = samples
                    .iter()
                    .map(|all| *all as f64 / count as f64)
                    .collect();
                self.result(name, self.plan.unit(), "lower", count, &samples);
            }
        }
    }

    /// A figure of which less is better, and whose samples were taken elsewhere.
    pub fn taken(&mut self, name: &str, unit: &str, samples: &[f64]) {
        self.result(name, unit, "lower", 1, samples);
    }

    /// A figure that is not measured but known.
    pub fn known(&mut self, name: &str, unit: &str, value: f64) {
        if self.wants(name) {
            self.result(name, unit, "info", 1, &[value]);
        }
    }

    /// Says why there is no figure.
    pub fn error(&mut self, name: &str, why: &str) {
        let why: String = why
            .chars()
            .map(|c| {
                if c == '"' || c == '\\' || c.is_control() {
                    ' '
                } else {
                    c
                }
            })
            .collect();
        let line = format!(
            "{{\"suite\":\"{}\",\"name\":\"{name}\",\"error\":\"{why}\"}}",
            self.suite
        );
        (self.output)(&line);
    }

    /// A line that a program has printed.
    pub fn pass_on(&mut self, line: &str) {
        (self.output)(line);
    }

    fn result(&mut self, name: &str, unit: &str, better: &str, count: u64, samples: &[f64]) {
        let line = Self::line(self.suite, name, unit, better, count, samples);
        (self.output)(&line);
    }

    /// A result as its line of JSON, without the line's end.
    pub fn line(
        suite: &str,
        name: &str,
        unit: &str,
        better: &str,
        count: u64,
        samples: &[f64],
    ) -> String {
        let samples: Vec<String> = samples
            .iter()
            .map(|sample| format!("{sample:.6e}"))
            .collect();
        format!(
            "{{\"suite\":\"{suite}\",\"name\":\"{name}\",\"unit\":\"{unit}\",\"better\":\"{better}\",\"iters\":{count},\
             \"samples\":[{}]}}",
            samples.join(",")
        )
    }
}

/// Finds out how many operations make a sample, and takes the samples.
fn sample(plan: Plan, body: &mut dyn FnMut(u64) -> Elapsed) -> Result<(u64, Vec<f64>), String> {
    let count = calibrate(plan, body)?;
    let samples =
        (0..plan.samples()).map(|_| body(count).map(|elapsed| elapsed as f64 / count as f64));
    Ok((count, samples.collect::<Result<_, _>>()?))
}

/// Doubles the count until a sample is about long enough. The quickest of three decides, so that a processor
/// that was taken away, or code that was not translated yet, does not. What still comes out far too short
/// is calibrated again.
fn calibrate(plan: Plan, body: &mut dyn FnMut(u64) -> Elapsed) -> Result<u64, String> {
    let mut count = 1;
    for _ in 0..CALIBRATIONS_MAX {
        count = double_until_long(plan, body, count)?;
        if body(count)? >= plan.sample_len() / 4 {
            break;
        }
    }
    Ok(count)
}

fn double_until_long(
    plan: Plan,
    body: &mut dyn FnMut(u64) -> Elapsed,
    mut count: u64,
) -> Result<u64, String> {
    loop {
        let elapsed = body(count)?.min(body(count)?).min(body(count)?).max(1);
        if elapsed >= plan.sample_len() / 4 || count >= OPERATIONS_MAX {
            let count = u128::from(count) * u128::from(plan.sample_len()) / u128::from(elapsed);
            return Ok(count as u64 + 1);
        }
        count *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(plan: Plan, take: impl FnOnce(&mut Meter<'_>)) -> Vec<String> {
        let mut lines = Vec::new();
        let mut output = |line: &str| lines.push(line.to_owned());
        take(&mut Meter::new("s", "", plan, || 0, &mut output));
        lines
    }

    #[test]
    fn a_sample_has_as_many_operations_as_fill_it() {
        let mut counts = Vec::new();
        let mut body = |count| {
            counts.push(count);
            Ok(count * 1000)
        };
        let (count, samples) = sample(Plan::Time, &mut body).unwrap();
        assert_eq!(count, 5001);
        assert_eq!(samples, vec![1000.0; 25]);
        assert!(counts.ends_with(&[5001; 25]));
    }

    #[test]
    fn a_bad_start_does_not_leave_samples_short() {
        let mut calls = 0;
        let mut body = |count: u64| {
            calls += 1;
            Ok(if calls <= 3 { 2_000_000 } else { count * 1000 })
        };
        let (count, _) = sample(Plan::Time, &mut body).unwrap();
        assert_eq!(count, 5001);
    }

    #[test]
    fn an_operation_that_is_longer_than_a_sample_is_done_once() {
        let (count, _) = sample(Plan::Count, &mut |count| Ok(count * 9_000_000)).unwrap();
        assert_eq!(count, 1);
    }

    #[test]
    fn a_body_that_fails_is_an_error_with_its_reason_and_without_what_json_forbids() {
        let said = lines(Plan::Time, |meter| {
            meter.per_operation("n", |_| Err("no \"memory\"\n".to_owned()));
        });
        assert_eq!(said, [r#"{"suite":"s","name":"n","error":"no  memory  "}"#]);
    }

    #[test]
    fn throughput_is_megabytes_per_second_or_instructions_per_operation() {
        let body = |count: u64| Ok(count * 1_000);
        let said = lines(Plan::Time, |meter| meter.throughput("n", 10, 4000, body));
        assert!(said[0].contains("\"unit\":\"MB/s\",\"better\":\"higher\""));
        assert!(said[0].contains("[4.000000e3,"), "{}", said[0]);
        let said = lines(Plan::Count, |meter| meter.throughput("n", 10, 4000, body));
        assert!(said[0].contains("\"unit\":\"instructions\""));
        assert!(said[0].contains("[1.000000e3,"), "{}", said[0]);
    }

    #[test]
    fn what_is_filtered_out_is_not_run() {
        let mut output = |_: &str| panic!("a line was printed");
        let mut meter = Meter::new("s", "thread,mem", Plan::Time, || 0, &mut output);
        meter.each("clock.gettime_user", || panic!("it was run"));
        assert!(meter.wants("thread.create_join") && meter.wants("mem.fault_4k"));
    }
}
