//! Calls the provider, for tests. The first argument names the case; what comes of it is printed.

mod bulk;
mod measure;

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! {
    world: "kpio:link-probe/client",
    generate_all,
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
}

use kpio::link::failure::LinkFailure;
use kpio::link_probe::counters::{self, Counter};
use kpio::link_probe::shapes::{self, Colours, Direction, Point, Shape};
use wasip2::cli::stdin::get_stdin;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["bulk-file"] => bulk::file(),
        ["bulk-holder-dies"] => bulk::holder_dies(),
        ["bulk-packets", count] => bulk::packets(number(count) as u32),
        ["bulk-rules"] => bulk::rules(),
        ["bulk-window"] => bulk::window(),
        ["burst", count] => measure::burst(number(count)),
        ["count"] => count(),
        ["echo"] => echo(),
        ["produce", len] => {
            let bytes = shapes::produce(number(len) as u32);
            println!("{:?}", bytes.map(|bytes| bytes.len()));
        }
        ["consume", len] => println!("{:?}", shapes::consume(&vec![7; number(len) as usize])),
        ["read"] => println!("{:?}", shapes::read(get_stdin())),
        ["to-and-fro"] => {
            let stream = shapes::pass_back(get_stdin()).expect("comes back");
            println!("{:?}", shapes::read(stream));
        }
        ["crash"] => {
            println!("{:?}", shapes::crash());
            println!("{:?}", shapes::consume(b"after"));
        }
        ["crash-silently"] => shapes::crash_silently(),
        ["hold"] => hold(),
        ["in-vain", count] => in_vain(number(count)),
        ["leave"] => leave(),
        ["live"] => println!("{}", counters::live()),
        ["measure", suffix, filter, plan] => measure::figures(suffix, filter, plan),
        ["on-demand"] => measure::on_demand(),
        ["many", count] => many(number(count)),
        ["repeat", count] => repeat(number(count)),
        ["spin", rounds] => println!("{:?}", shapes::spin(number(rounds))),
        ["until-error"] => until_error(),
        _ => panic!("there is no case {words:?}"),
    }
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

fn count() {
    let first = Counter::new(40);
    let second = Counter::new(0);
    println!("{:?} {:?}", first.add(2), second.add(1));
    println!("{}", counters::live());
    println!("{}", counters::finish(first));
    println!("{}", counters::live());
    drop(second);
    println!("{}", counters::live());
}

fn echo() {
    let point = Point {
        x: -3,
        y: 0.5,
        name: "ö".to_owned(),
    };
    for shape in [
        Shape::Nothing,
        Shape::Dot(point.clone()),
        Shape::Line((point.clone(), point)),
        Shape::Text(vec![String::new(), "two".to_owned()]),
    ] {
        let back = shapes::echo(
            &shape,
            Colours::RED | Colours::BLUE,
            Direction::Down,
            '漢',
            true,
            Some(None),
            &[i64::MIN, -1, i64::MAX],
        );
        println!("{back:?}");
    }
}

/// Holds a counter until its input ends.
fn hold() {
    let counter = Counter::new(1);
    println!("{:?}", counter.add(1));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("readable");
    println!("{:?}", counter.add(1));
}

/// Gives away its input again and again, which nobody takes.
fn in_vain(count: u64) {
    let failures = (0..count).filter(|_| shapes::read(get_stdin()).is_err());
    println!("{}", failures.count());
}

/// Ends without dropping anything.
fn leave() {
    std::mem::forget(Counter::new(1));
    println!("{}", counters::live());
    std::process::exit(0);
}

fn many(count: u64) {
    let counter = Counter::new(0);
    let sum = (0..count).try_fold(0, |_, _| counter.add(1));
    println!("{sum:?}");
}

/// How many calls were answered, and how many were lost on the way.
fn repeat(count: u64) {
    let (mut answered, mut lost) = (0, 0);
    for _ in 0..count {
        match shapes::consume(b"again") {
            Ok(5) => answered += 1,
            Err(shapes::Error::Link(LinkFailure::Lost)) => lost += 1,
            other => panic!("{other:?}"),
        }
    }
    println!("{answered} answered, {lost} lost");
}

/// Calls until a call fails.
fn until_error() {
    println!("ready");
    loop {
        if let Err(error) = shapes::consume(b"again") {
            println!("{error:?}");
            return;
        }
    }
}
