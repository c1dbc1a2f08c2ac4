//! `wasi:http` without a network. The first argument names the case; a case that finds something wrong panics.

use wasip2::cli::environment;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingRequest, RequestOptions};
use wasip2::io::streams::StreamError;

fn main() {
    let arguments = environment::get_arguments();
    match arguments[1].as_str() {
        "denied" => denied(),
        "finish-before-stream" => finish_before_stream(),
        "hoard-fields" => hoard_fields(),
        "lengths" => lengths(),
        other => panic!("there is no case {other}"),
    }
}

fn request(length: &str) -> (OutgoingRequest, OutgoingBody) {
    let fields = Fields::new();
    let set = fields.append("Content-Length", length.as_bytes());
    set.expect("a valid length");
    let request = OutgoingRequest::new(fields);
    let body = request.body().expect("a body");
    (request, body)
}

/// A denied request says so, and closes the stream of its body.
fn denied() {
    let (request, body) = request("5");
    let stream = body.write().expect("a stream");
    stream.blocking_write_and_flush(b"12345").expect("written");
    let answer = outgoing_handler::handle(request, Some(RequestOptions::new()));
    assert!(matches!(answer, Err(ErrorCode::HttpRequestDenied)));
    let written = stream.blocking_write_and_flush(b"6");
    assert!(matches!(written, Err(StreamError::Closed)));
    drop(stream);
    assert!(OutgoingBody::finish(body, None).is_ok());
}

/// A body is as long as its field says.
fn lengths() {
    for (written, right) in [(&b"12345"[..], true), (b"1234", false), (b"", false)] {
        let (_request, body) = request("5");
        let stream = body.write().expect("a stream");
        stream.blocking_write_and_flush(written).expect("written");
        drop(stream);
        match OutgoingBody::finish(body, None) {
            Ok(()) => assert!(right),
            Err(ErrorCode::HttpRequestBodySize(Some(found))) => {
                assert!(!right);
                assert_eq!(found, written.len() as u64);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    let fields = Fields::new();
    for wrong in ["-1", "five", "1 2", ""] {
        assert!(fields.append("content-length", wrong.as_bytes()).is_err());
    }
    fields.append("content-length", b"1").expect("a length");
    assert!(fields.append("Content-Length", b"1").is_err());
    let two = [b"1".to_vec(), b"1".to_vec()];
    assert!(fields.set("content-length", &two).is_err());
    assert_eq!(fields.entries(), [("content-length".into(), b"1".to_vec())]);
}

fn finish_before_stream() {
    let (_request, body) = request("0");
    let _stream = body.write().expect("a stream");
    drop(OutgoingBody::finish(body, None));
}

/// Fields are the process's own memory.
fn hoard_fields() {
    let value = vec![b'x'; 60_000];
    let fields = Fields::new();
    for _ in 0..10_000 {
        fields.append("x", &value).expect("a valid field");
    }
}
