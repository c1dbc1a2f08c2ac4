//! The JSON, read back by a reader of JSON: any records give a well-formed trace in which times never fall within a
//! track and every begin has its end.

use std::collections::BTreeMap;

use lib_trace_export::{CpuTrace, ProcessName, ThreadName, Trace, fold, write_json};
use lib_trace_ring::{KINDS, Kind, Record};
use serde_json::Value;

/// The seed of this run: `KPIO_SEED` if set, else a new one. Printed, so that a failure replays.
fn seeded() -> fastrand::Rng {
    let seed = std::env::var("KPIO_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("replay with KPIO_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

fn json(trace: &Trace) -> Value {
    let mut text = String::new();
    write_json(trace, &|tsc| tsc, &mut text).expect("a string takes everything");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Every event but names, by track; checks the law on the way.
fn tracks(value: &Value) -> BTreeMap<(u64, u64), Vec<Value>> {
    let mut tracks: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    for event in value["traceEvents"].as_array().expect("a list") {
        let number = |field: &str| event[field].as_u64().expect("a number");
        if event["ph"] != "M" {
            let track = tracks.entry((number("pid"), number("tid"))).or_default();
            track.push(event.clone());
        }
    }
    for events in tracks.values() {
        let times: Vec<f64> = events
            .iter()
            .map(|e| e["ts"].as_f64().expect("a time"))
            .collect();
        assert!(times.is_sorted());
        let mut depth = 0_i64;
        for event in events {
            depth += match event["ph"].as_str() {
                Some("B") => 1,
                Some("E") => -1,
                _ => 0,
            };
            assert!(depth >= 0);
        }
        assert_eq!(depth, 0);
    }
    tracks
}

fn record(tsc: u64, kind: Kind, thread: u32, a: u64, b: u64) -> Record {
    Record {
        tsc,
        kind,
        extra: 0,
        thread,
        a,
        b,
    }
}

fn thread(thread: u32, name: &str) -> ThreadName {
    ThreadName {
        thread,
        name: name.into(),
    }
}

fn trace_of(records: Vec<Record>) -> Trace {
    Trace {
        cpus: vec![CpuTrace {
            records,
            ..CpuTrace::default()
        }],
        threads: vec![thread(1, "main"), thread(2, "evil\"\\\n\u{7f}")],
        processes: vec![ProcessName {
            process: 7,
            thread: 2,
            name: "x\"y".into(),
        }],
        host_functions: vec!["streams#write".into()],
        span_tsc: (0, 1_000_000),
        counters: vec![("switches", 2)],
    }
}

#[test]
fn switches_make_the_cpus_row() {
    let value = json(&trace_of(vec![
        record(10, Kind::Switch, 1, 1, 2),
        record(20, Kind::HostCallBegin, 2, 0, 0),
        record(30, Kind::HostCallEnd, 2, 0, 0),
        record(40, Kind::Switch, 2, 2, 1),
    ]));
    let tracks = tracks(&value);
    let phases: Vec<_> = tracks[&(1, 0)]
        .iter()
        .map(|e| e["ph"].as_str().unwrap())
        .collect();
    assert_eq!(phases, ["B", "E", "B", "E"]);
    assert_eq!(tracks[&(1, 0)][3]["args"]["cut"], true);
    assert_eq!(tracks[&(1, 0)][0]["name"], "evil\"\\\n\u{7f}");
    assert_eq!(tracks[&(1007, 2)][0]["name"], "streams#write");
    assert_eq!(value["otherData"]["records"]["Switch"], 2);
    assert_eq!(value["otherData"]["kernel"]["switches"], 2);
}

#[test]
fn ends_without_begins_are_left_out_and_begins_without_ends_are_cut() {
    let value = json(&trace_of(vec![
        record(1, Kind::FaultEnd, 1, 0, 0),
        record(2, Kind::HostCallBegin, 1, 0, 0),
        record(3, Kind::FaultBegin, 1, 0, 0),
        record(4, Kind::HostCallEnd, 1, 0, 0),
    ]));
    let events = &tracks(&value)[&(2, 1)];
    let cut: Vec<_> = events.iter().map(|e| e["args"]["cut"] == true).collect();
    assert_eq!(cut, [false, false, true, false]);
}

#[test]
fn any_records_give_a_lawful_trace() {
    let mut rng = seeded();
    for _ in 0..200 {
        let mut trace = trace_of(Vec::new());
        trace.cpus = (0..rng.usize(0..4))
            .map(|_| CpuTrace {
                records: (0..rng.usize(0..200))
                    .map(|_| Record {
                        tsc: rng.u64(0..500),
                        kind: KINDS[rng.usize(0..KINDS.len())],
                        extra: rng.u16(0..4),
                        thread: rng.u32(0..4),
                        a: rng.u64(0..4),
                        b: rng.u64(0..4),
                    })
                    .collect(),
                ..CpuTrace::default()
            })
            .collect();
        tracks(&json(&trace));
        fold(&trace, &|_| None);
    }
}

#[test]
fn samples_are_counted_by_stack() {
    let sample = |thread, places: &[u64], announced| {
        let mut records = vec![Record {
            extra: announced,
            ..record(1, Kind::Sample, thread, 0, 0)
        }];
        for pair in places.chunks(2) {
            let b = pair.get(1).copied().unwrap_or(0);
            records.push(record(1, Kind::Places, thread, pair[0], b));
        }
        records
    };
    let records = [
        // The rest of a sample whose start was overwritten.
        vec![record(1, Kind::Places, 1, 9, 9)],
        sample(1, &[3, 2, 1], 3),
        vec![record(1, Kind::Switch, 1, 1, 2)],
        sample(1, &[3, 2, 1], 3),
        sample(2, &[4, 1], 2),
        sample(2, &[4], 2),
        vec![record(1, Kind::Sample, 1, 1, 0)],
    ]
    .concat();
    let name = |address| (address != 4).then(|| format!("f{address};\n"));
    let folded = fold(&trace_of(records), &name);
    assert_eq!(folded.text, "main;f1,?;f2,?;f3,? 2\nx\"y;f1,?;? 1\n");
    assert_eq!(
        (folded.samples, folded.idle_samples, folded.torn_samples),
        (3, 1, 1)
    );
}
