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
use kpio::link_probe::watching;
use kpio::service::reactor;
use wasip2::cli::stdin::get_stdin;
use wasip2::clocks::monotonic_clock::subscribe_instant;
use wasip2::io::streams::StreamError;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["bulk-cut-off"] => bulk::cut_off(),
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
        ["produce-sparse", len] => {
            let items = shapes::produce_sparse(number(len) as u32);
            println!("{:?}", items.map(|items| items.len()));
        }
        ["consume-sparse", len] => {
            let items = vec![None; number(len) as usize];
            println!("{:?}", shapes::consume_sparse(&items));
        }
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
        ["fill"] => fill(),
        ["hold"] => hold(),
        ["hold-many", count] => hold_many(number(count)),
        ["in-vain", count] => in_vain(number(count)),
        ["leave"] => leave(),
        ["listen"] => listen(),
        ["live"] => println!("{}", counters::live()),
        ["measure", suffix, filter, plan] => measure::figures(suffix, filter, plan),
        ["on-demand"] => measure::on_demand(),
        ["many", count] => many(number(count)),
        ["repeat", count] => repeat(number(count)),
        ["spin", rounds] => println!("{:?}", shapes::spin(number(rounds))),
        ["until-error"] => until_error(),
        ["fall-ill", why] => println!("{:?}", watching::fall_ill(why)),
        ["watch-past"] => watch_past(),
        ["watch-input"] => println!("{:?}", watching::watch_input(get_stdin(), 5)),
        ["watch-in"] => println!("{:?}", watching::watch_in(20, 6)),
        ["watch-many"] => println!("{}", watching::watch_many()),
        ["watch-again", count] => watch_again(number(count)),
        ["watch-crash"] => {
            println!("{:?}", watching::watch_past(&[CRASH]));
            println!("{:?}", watching::told());
        }
        ["watch-here"] => println!("{:?}", reactor::watch(subscribe_instant(0), 1)),
        _ => panic!("there is no case {words:?}"),
    }
}

/// The provider watches anew for the first, and ends by the second.
const AGAIN: u64 = 1_000_000;
const CRASH: u64 = 1_000_001;

/// What the provider was told of what was ready at once, when it had its turns.
fn watch_past() {
    println!("{:?}", watching::watch_past(&[3, 1, 2]));
    println!("{:?}", watching::watch_but(&[4, 5, 6], 5));
    println!("{:?}", watching::watch_past(&[7, 7]));
    for _ in 0..6 {
        watching::told();
    }
    println!("{:?}", watching::told());
}

/// Calls a provider that is always told something, and counts the calls between which it was.
fn watch_again(count: u64) {
    watching::watch_past(&[AGAIN]).expect("is watched");
    let mut seen = 0;
    let told = (0..count).filter(|_| {
        let now = watching::again().expect("is answered");
        std::mem::replace(&mut seen, now) < now
    });
    println!("{}", told.count());
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

/// Takes counters until it can have no more, then lets some go and takes one again.
fn fill() {
    let mut held = Vec::new();
    let failure = loop {
        match counters::make(0) {
            Ok(counter) => held.push(counter),
            Err(failure) => break failure,
        }
    };
    held.truncate(held.len() - 8);
    println!("{failure:?}");
    println!("{:?}", counters::make(5).and_then(counters::give_back));
}

/// Holds counters until its input has a line, gives them all back, and takes as many again.
fn hold_many(count: u64) {
    let make = || counters::make(0).expect("there is room");
    let held: Vec<Counter> = (0..count).map(|_| make()).collect();
    println!("{} held", held.len());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("readable");
    let answers = held.into_iter().map(counters::give_back);
    let lost = answers.filter(|answer| matches!(answer, Err(LinkFailure::Lost)));
    println!("{} lost", lost.count());
    let held: Vec<Counter> = (0..count).map(|_| make()).collect();
    println!("{} held", held.len());
}

/// Gives away its input again and again, which nobody takes.
fn in_vain(count: u64) {
    let failures = (0..count).filter(|_| shapes::read(get_stdin()).is_err());
    println!("{}", failures.count());
}

/// Reads a stream that it got from the provider, and says how that ends.
fn listen() {
    let stream = shapes::pass_back(get_stdin()).expect("comes back");
    println!("{:?}", stream.blocking_read(1));
    match stream.blocking_read(1) {
        Err(StreamError::LastOperationFailed(why)) => println!("{}", why.to_debug_string()),
        other => println!("{other:?}"),
    }
    println!("{:?}", stream.blocking_read(1));
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
