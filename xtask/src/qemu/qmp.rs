//! The QEMU machine protocol: JSON lines over a socket (QEMU's documentation, "QMP protocol specification").

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Result};

/// Hang guard for one command.
const ANSWER_DEADLINE: Duration = Duration::from_secs(120);

/// A session with one QEMU.
#[derive(Debug)]
pub struct Qmp {
    input: BufReader<UnixStream>,
    output: UnixStream,
    /// Events that came while answers were awaited, oldest first.
    events: Vec<Value>,
}

impl Qmp {
    /// Greets QEMU at the other end of `stream`.
    pub fn new(stream: UnixStream) -> Result<Self> {
        stream
            .set_read_timeout(Some(ANSWER_DEADLINE))
            .map_err(broken)?;
        let output = stream.try_clone().map_err(broken)?;
        let mut qmp = Self {
            input: BufReader::new(stream),
            output,
            events: Vec::new(),
        };
        qmp.read()?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and returns its answer.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments });
        writeln!(self.output, "{line}").map_err(broken)?;
        loop {
            let mut message = self.read()?;
            if let Some(error) = message.get("error") {
                return Err(Failure::Guest(format!(
                    "QEMU refused `{command}`: {}",
                    error["desc"]
                )));
            }
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            }
            self.events.push(message);
        }
    }

    /// Presses keys together and lets them go, by QEMU's names: `["ctrl", "c"]`.
    pub fn send_keys(&mut self, keys: &[&str]) -> Result<()> {
        let keys: Vec<Value> = keys
            .iter()
            .map(|key| json!({ "type": "qcode", "data": key }))
            .collect();
        self.execute("send-key", json!({ "keys": keys })).map(drop)
    }

    /// Reads until QEMU hangs up; returns why the guest stopped, as in "guest-shutdown", if that was said.
    pub fn shutdown_reason(&mut self) -> Option<String> {
        while let Ok(message) = self.read() {
            self.events.push(message);
        }
        let shutdown = self
            .events
            .iter()
            .find(|event| event["event"] == "SHUTDOWN")?;
        shutdown["data"]["reason"].as_str().map(str::to_owned)
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(0) => Err(Failure::Guest("QEMU hung up".into())),
            Ok(_) => serde_json::from_str(&line)
                .map_err(|e| Failure::Guest(format!("QEMU's monitor said {line:?}: {e}"))),
            Err(e) => Err(broken(e)),
        }
    }
}

fn broken(error: std::io::Error) -> Failure {
    Failure::Guest(format!("the connection to QEMU's monitor broke: {error}"))
}
