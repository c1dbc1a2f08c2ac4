//! Lets somebody's number grow, `kpio:demo/counter`, and says what it is: every so many milliseconds, as its argument says,
//! until its input ends.
#![expect(missing_docs, reason = "what is generated is documented in the WIT")]

use std::time::Duration;

include!(concat!(env!("OUT_DIR"), "/wit.rs"));

generate! { world: "kpio:demo/client", generate_all }

use kpio::demo::counter;
use wasip2::cli::stdin::get_stdin;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;

fn main() {
    let argument = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let pause = Duration::from_millis(argument.unwrap_or(1000));
    let input = get_stdin();
    loop {
        match counter::add(1) {
            Ok(number) => println!("the number is {number}"),
            Err(failure) => println!("the number is {}", failure.name()),
        }
        let (asked, due) = (
            input.subscribe(),
            subscribe_duration(pause.as_nanos() as u64),
        );
        if poll(&[&asked, &due]).contains(&0) {
            return;
        }
    }
}
