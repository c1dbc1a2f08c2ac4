//! `wasi:http` where no network is granted: requests can be made up, and are denied.

use std::hint::black_box;

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, FutureTrailers, HeaderError, IncomingBody,
    IncomingRequest, IncomingResponse, Method, OutgoingBody, OutgoingRequest, OutgoingResponse,
    RequestOptions, ResponseOutparam, Scheme, http_error_code,
};
use wasip2::io::streams::StreamError;

use crate::filesystem::Scratch;
use crate::{Cases, HttpOutgoingHandler, HttpTypes, say};

/// What only a peer could give: it is linked and never run.
fn none<T>() -> Option<T> {
    black_box(None)
}

fn told<T: std::fmt::Debug>(answer: Result<T, HeaderError>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(HeaderError::InvalidSyntax) => "invalid-syntax".into(),
        Err(HeaderError::Forbidden) => "forbidden".into(),
        Err(HeaderError::Immutable) => "immutable".into(),
    }
}

/// Name and value of each field, as text.
fn shown(fields: &Fields) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut all: Vec<String> = fields
        .entries()
        .iter()
        .map(|(name, value)| format!("{name}: {}", text(value)))
        .collect();
    all.sort();
    all
}

fn some_fields() -> Fields {
    let entries = [("accept", "a"), ("x-one", "1"), ("accept", "b")];
    let entries = entries.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    Fields::from_list(&entries).expect("they are valid")
}

fn request() -> OutgoingRequest {
    OutgoingRequest::new(some_fields())
}

impl HttpOutgoingHandler for Cases {
    fn handle() {
        let request = request();
        request.set_scheme(Some(&Scheme::Http)).expect("valid");
        request.set_authority(Some("127.0.0.1:9")).expect("valid");
        request.set_path_with_query(Some("/")).expect("valid");
        let options = RequestOptions::new();
        match outgoing_handler::handle(request, Some(options)) {
            Ok(future) => {
                future.subscribe().block();
                say!("answered", matches!(future.get(), Some(Ok(Ok(_)))));
            }
            Err(_) => say!("answered", false),
        }
    }
}

impl HttpTypes for Cases {
    fn fields_new() {
        let fields = Fields::new();
        say!("empty", fields.entries().is_empty());
        say!("can be changed", told(fields.append("a", b"b")));
    }

    fn fields_from_list() {
        say!("in order", shown(&some_fields()));
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a", "x\n"),
            ("a", "x\0"),
            ("\u{e4}", "x"),
            ("a:", "x"),
            ("a", ""),
            ("Host", "x"),
            ("connection", "x"),
            ("keep-alive", "x"),
            ("proxy-authenticate", "x"),
            ("transfer-encoding", "x"),
            ("upgrade", "x"),
            ("http2-settings", "x"),
            ("proxy-connection", "x"),
            ("te", "x"),
            ("trailer", "x"),
        ] {
            let made = Fields::from_list(&[(name.to_owned(), value.as_bytes().to_vec())]);
            say!(format!("{name:?} {value:?}"), told(made.map(drop)));
        }
    }

    fn fields_get() {
        let fields = some_fields();
        for name in ["accept", "ACCEPT", "x-one", "missing", "a b", ""] {
            say!(name, fields.get(name));
        }
    }

    fn fields_has() {
        let fields = some_fields();
        for name in ["accept", "Accept", "missing", "a b", ""] {
            say!(name, fields.has(name));
        }
    }

    fn fields_set() {
        let fields = some_fields();
        say!(
            "two for two",
            told(fields.set("Accept", &[b"c".to_vec(), b"d".to_vec()]))
        );
        say!("none", told(fields.set("x-one", &[])));
        say!("a new one", told(fields.set("x-two", &[b"2".to_vec()])));
        say!("a wrong name", told(fields.set("a b", &[])));
        say!("a wrong value", told(fields.set("a", &[b"\r\n".to_vec()])));
        say!(
            "a forbidden name",
            told(fields.set("host", &[b"x".to_vec()]))
        );
        say!("fields", fields.entries().len());
        say!("values", fields.get("accept"));
    }

    fn fields_delete() {
        let fields = some_fields();
        for name in ["Accept", "missing", "a b", "host"] {
            say!(name, told(fields.delete(name)));
        }
        say!("fields", shown(&fields));
    }

    fn fields_append() {
        let fields = some_fields();
        say!("one more", told(fields.append("accept", b"c")));
        say!("a wrong name", told(fields.append("", b"c")));
        say!("a wrong value", told(fields.append("a", b"\n")));
        say!("a forbidden name", told(fields.append("Host", b"x")));
        say!("values", fields.get("accept"));
    }

    fn fields_entries() {
        let fields = some_fields();
        say!("entries", shown(&fields));
    }

    fn fields_clone() {
        let fields = some_fields();
        let copy = fields.clone();
        copy.delete("accept").expect("it can be changed");
        say!("the copy", shown(&copy));
        say!("the other", shown(&fields));
        let copy = request().headers().clone();
        say!(
            "a copy of what cannot be changed",
            told(copy.append("a", b"b"))
        );
    }

    fn outgoing_request_new() {
        let request = request();
        say!("method", matches!(request.method(), Method::Get));
        say!("path", request.path_with_query());
        say!("authority", request.authority());
        say!("no scheme", request.scheme().is_none());
    }

    fn outgoing_request_body() {
        let request = request();
        say!("once", request.body().is_ok());
        say!("twice", request.body().is_ok());
    }

    fn outgoing_request_method() {
        say!("at first", format!("{:?}", request().method()));
    }

    fn outgoing_request_set_method() {
        let request = request();
        for method in [
            Method::Post,
            Method::Other("BREW".into()),
            Method::Other("a b".into()),
            Method::Other(String::new()),
            Method::Other("GET".into()),
        ] {
            say!(format!("{method:?}"), request.set_method(&method));
            say!("it is", format!("{:?}", request.method()));
        }
    }

    fn outgoing_request_path_with_query() {
        say!("at first", request().path_with_query());
    }

    fn outgoing_request_set_path_with_query() {
        let request = request();
        for path in [
            Some("/"),
            Some("/a?b=c"),
            Some(""),
            Some("a b"),
            Some("a\n"),
            Some("*"),
            None,
        ] {
            say!(format!("{path:?}"), request.set_path_with_query(path));
            say!("it is", request.path_with_query());
        }
    }

    fn outgoing_request_scheme() {
        say!("at first", request().scheme().is_none());
    }

    fn outgoing_request_set_scheme() {
        let request = request();
        for scheme in [
            Some(Scheme::Https),
            Some(Scheme::Other("ftp".into())),
            Some(Scheme::Other("a b".into())),
            None,
        ] {
            say!(format!("{scheme:?}"), request.set_scheme(scheme.as_ref()));
            say!("it is", format!("{:?}", request.scheme()));
        }
    }

    fn outgoing_request_authority() {
        say!("at first", request().authority());
    }

    fn outgoing_request_set_authority() {
        let request = request();
        for authority in [
            Some("example.org"),
            Some("example.org:80"),
            Some("u@h:1"),
            Some("[::1]:80"),
            Some(""),
            Some("a b"),
            Some("a/b"),
            None,
        ] {
            say!(format!("{authority:?}"), request.set_authority(authority));
            say!("it is", request.authority());
        }
    }

    fn outgoing_request_headers() {
        let request = request();
        let headers = request.headers();
        say!("fields", shown(&headers));
        say!("set", told(headers.set("a", &[])));
        say!("append", told(headers.append("a", b"b")));
        say!("delete", told(headers.delete("a")));
        drop(headers);
        say!("again", request.headers().entries().len());
    }

    fn request_options_new() {
        drop(RequestOptions::new());
        say!("made", true);
    }

    fn request_options_connect_timeout() {
        say!("at first", RequestOptions::new().connect_timeout());
    }

    fn request_options_set_connect_timeout() {
        let options = RequestOptions::new();
        for timeout in [Some(5), None, Some(u64::MAX)] {
            say!("set", options.set_connect_timeout(timeout));
            say!("it is", options.connect_timeout());
        }
    }

    fn request_options_first_byte_timeout() {
        say!("at first", RequestOptions::new().first_byte_timeout());
    }

    fn request_options_set_first_byte_timeout() {
        let options = RequestOptions::new();
        say!("set", options.set_first_byte_timeout(Some(6)));
        say!("it is", options.first_byte_timeout());
        say!(
            "the others are not",
            (options.connect_timeout(), options.between_bytes_timeout())
        );
    }

    fn request_options_between_bytes_timeout() {
        say!("at first", RequestOptions::new().between_bytes_timeout());
    }

    fn request_options_set_between_bytes_timeout() {
        let options = RequestOptions::new();
        say!("set", options.set_between_bytes_timeout(Some(7)));
        say!("it is", options.between_bytes_timeout());
    }

    fn outgoing_response_new() {
        say!(
            "fields",
            shown(&OutgoingResponse::new(some_fields()).headers())
        );
    }

    fn outgoing_response_status_code() {
        say!(
            "at first",
            OutgoingResponse::new(Fields::new()).status_code()
        );
    }

    fn outgoing_response_set_status_code() {
        let response = OutgoingResponse::new(Fields::new());
        for code in [404, 100, 999, 99, 1000, 0] {
            say!(code, response.set_status_code(code));
            say!("it is", response.status_code());
        }
    }

    fn outgoing_response_headers() {
        let response = OutgoingResponse::new(some_fields());
        say!("append", told(response.headers().append("a", b"b")));
    }

    fn outgoing_response_body() {
        let response = OutgoingResponse::new(Fields::new());
        say!("once", response.body().is_ok());
        say!("twice", response.body().is_ok());
    }

    fn outgoing_body_write() {
        let request = request();
        let body = request.body().expect("a body");
        let stream = body.write().expect("a stream");
        say!("room", stream.check_write().is_ok_and(|room| room > 0));
        say!("once more", body.write().is_ok());
    }

    fn outgoing_body_finish() {
        let request = request();
        let body = request.body().expect("a body");
        say!("finished", OutgoingBody::finish(body, None).is_ok());
    }

    fn incoming_request_method() {
        if let Some(request) = none::<IncomingRequest>() {
            say!("method", request.method());
        }
    }

    fn incoming_request_path_with_query() {
        if let Some(request) = none::<IncomingRequest>() {
            say!("path", request.path_with_query());
        }
    }

    fn incoming_request_scheme() {
        if let Some(request) = none::<IncomingRequest>() {
            say!("scheme", request.scheme());
        }
    }

    fn incoming_request_authority() {
        if let Some(request) = none::<IncomingRequest>() {
            say!("authority", request.authority());
        }
    }

    fn incoming_request_headers() {
        if let Some(request) = none::<IncomingRequest>() {
            say!("headers", shown(&request.headers()));
        }
    }

    fn incoming_request_consume() {
        if let Some(request) = none::<IncomingRequest>() {
            say!("body", request.consume().is_ok());
        }
    }

    fn response_outparam_set() {
        if let Some(out) = none::<ResponseOutparam>() {
            ResponseOutparam::set(out, Err(ErrorCode::LoopDetected));
        }
    }

    fn incoming_response_status() {
        if let Some(response) = none::<IncomingResponse>() {
            say!("status", response.status());
        }
    }

    fn incoming_response_headers() {
        if let Some(response) = none::<IncomingResponse>() {
            say!("headers", shown(&response.headers()));
        }
    }

    fn incoming_response_consume() {
        if let Some(response) = none::<IncomingResponse>() {
            say!("body", response.consume().is_ok());
        }
    }

    fn incoming_body_stream() {
        if let Some(body) = none::<IncomingBody>() {
            say!("stream", body.stream().is_ok());
        }
    }

    fn incoming_body_finish() {
        if let Some(body) = none::<IncomingBody>() {
            drop(IncomingBody::finish(body));
        }
    }

    fn future_trailers_subscribe() {
        if let Some(trailers) = none::<FutureTrailers>() {
            trailers.subscribe().block();
        }
    }

    fn future_trailers_get() {
        if let Some(trailers) = none::<FutureTrailers>() {
            say!("there", trailers.get().is_some());
        }
    }

    fn future_incoming_response_subscribe() {
        if let Some(response) = none::<FutureIncomingResponse>() {
            response.subscribe().block();
        }
    }

    fn future_incoming_response_get() {
        if let Some(response) = none::<FutureIncomingResponse>() {
            say!("there", response.get().is_some());
        }
    }

    /// A file's error is none of HTTP.
    fn http_error_code() {
        let file = Scratch::new("http-error-code").file("f", b"");
        let beyond = file.write_via_stream(u64::MAX).expect("a stream");
        match beyond.blocking_write_and_flush(b"x") {
            Err(StreamError::LastOperationFailed(error)) => {
                say!("a code", http_error_code(&error).is_some())
            }
            _ => say!("failed", false),
        }
    }
}
