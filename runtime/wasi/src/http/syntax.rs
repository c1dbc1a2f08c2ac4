//! What is a valid part of a request, by RFC 9110 and RFC 3986. Whatever is not is refused where it is set.

/// A method, or a field's name.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A field's value: no control characters but the tabulator.
pub(super) fn is_field_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

/// The value of `content-length`: digits, and no more than can be counted.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

/// A scheme's name.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// A path with a query, or nothing.
pub(super) fn is_path_with_query(text: &str) -> bool {
    text.bytes()
        .all(|byte| is_uri_byte(byte) || b":@/?".contains(&byte))
}

/// A host, with a user before it and a port after it if they are there.
pub(super) fn is_authority(text: &str) -> bool {
    let (user, place) = text.rsplit_once('@').unwrap_or(("", text));
    let (host, port) = host_and_port(place);
    user.bytes().all(|byte| is_uri_byte(byte) || byte == b':')
        && is_host(host)
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// A colon within brackets is a part of the host's address.
fn host_and_port(place: &str) -> (&str, &str) {
    let after_brackets = place.rfind(']').map_or(0, |end| end + 1);
    match place[after_brackets..].find(':') {
        Some(colon) => {
            let (host, port) = place.split_at(after_brackets + colon);
            (host, &port[1..])
        }
        None => (place, ""),
    }
}

fn is_host(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => {
            !address.is_empty()
                && address
                    .bytes()
                    .all(|byte| is_uri_byte(byte) || byte == b':')
        }
        None => !host.is_empty() && host.bytes().all(is_uri_byte),
    }
}

/// What stands in every part of a URI without a meaning of its own, and the sign of an escape.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{
        content_length, is_authority, is_field_value, is_path_with_query, is_scheme, is_token,
    };

    #[test]
    fn tokens_are_letters_digits_and_a_few_signs() {
        assert!(is_token("x-y_z1") && is_token("GET"));
        for wrong in ["", "a b", "a:", "\u{e4}", "a\n"] {
            assert!(!is_token(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn values_have_no_control_characters() {
        assert!(is_field_value(b"a b\tc\xff") && is_field_value(b""));
        assert!(!is_field_value(b"\r\n") && !is_field_value(b"\0") && !is_field_value(b"\x7f"));
    }

    #[test]
    fn lengths_are_digits() {
        assert_eq!(content_length(b"12"), Some(12));
        for wrong in [&b""[..], b"+1", b" 1", b"99999999999999999999"] {
            assert_eq!(content_length(wrong), None);
        }
    }

    #[test]
    fn authorities_are_hosts_with_ports() {
        for right in ["h", "h:80", "u:p@h:80", "[::1]:80", "[::1]", "h:"] {
            assert!(is_authority(right), "{right:?}");
        }
        for wrong in [
            "", "a b", "a/b", "h:port", "[::1", "[]:1", ":80", "h:1:2", "u@",
        ] {
            assert!(!is_authority(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn schemes_and_paths_keep_to_their_letters() {
        assert!(is_scheme("coap+tcp") && !is_scheme("1a") && !is_scheme("") && !is_scheme("a b"));
        assert!(
            is_path_with_query("/a?b=%20") && is_path_with_query("") && is_path_with_query("*")
        );
        assert!(
            !is_path_with_query("a b") && !is_path_with_query("/\n") && !is_path_with_query("/#x")
        );
    }
}
