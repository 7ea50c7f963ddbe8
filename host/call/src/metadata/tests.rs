#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    map
}

fn shown(metadata: &Metadata) -> Vec<(&str, Vec<u8>)> {
    metadata.fields().map(|(name, value)| (name, value.into_owned())).collect()
}

#[test]
fn the_plugin_sees_what_is_about_the_call() {
    let sent = headers(&[
        ("authorization", "Bearer x"),
        ("x-two", "1"),
        ("x-two", "2"),
        ("content-type", "application/grpc"),
        ("grpc-timeout", "1S"),
        ("te", "trailers"),
        ("host", "example.com"),
        ("proxy-authorization", "Basic x"),
        ("sec-websocket-key", "x"),
        ("x-request-id", "7"),
    ]);
    let metadata = Metadata::of(sent);
    let expected = [("authorization", "Bearer x"), ("x-two", "1"), ("x-two", "2")];
    assert_eq!(shown(&metadata), expected.map(|(name, value)| (name, value.as_bytes().to_vec())));
    assert_eq!(shown(&Metadata::default()), []);
    assert!(!format!("{metadata:?}").contains("Bearer"), "{metadata:?}");
}

#[test]
fn binary_values_are_bytes_padded_or_not_and_joined_or_not() {
    let metadata = Metadata::of(headers(&[("a-bin", "AAH/"), ("a-bin", "/w==,/w , "), ("b-bin", "?")]));
    let a = |bytes: &[u8]| ("a-bin", bytes.to_vec());
    assert_eq!(shown(&metadata), [a(&[0, 1, 255]), a(&[255]), a(&[255]), a(&[])]);
    assert_eq!(metadata.not_base64(), Some("b-bin"));
    assert_eq!(Metadata::of(headers(&[("a-bin", "AAH/"), ("grpc-x-bin", "?")])).not_base64(), None);
}

#[test]
fn names_and_values_that_are_none_and_names_of_the_door_are_refused_and_named() {
    let text = |name: &str, value: &[u8]| match field(name, value).unwrap_err() {
        FieldError::Invalid(text) | FieldError::Reserved(text) => text,
    };
    for name in ["", "X-Upper", "x y", ":path", "x\r\ny", "é"] {
        assert!(text(name, b"1").contains("is no name"), "{name:?}");
    }
    for name in
        ["content-type", "content-length", "connection", "transfer-encoding", "grpc-status", "date", "host"]
    {
        assert!(
            matches!(field(name, b"1"), Err(FieldError::Reserved(text)) if text.contains(name)),
            "{name}"
        );
    }
    for value in [&b"caf\xc3\xa9"[..], b"a\r\nb", b"\0", b"\t"] {
        assert!(text("x-text", value).contains("-bin"), "{value:?}");
    }
    assert_eq!(field("x-bin", &[0, 1, 255]).unwrap().1, "AAH/");
    assert_eq!(field("x-bin", &[255]).unwrap().1, "/w", "without padding");
    assert_eq!(field("content-language", b"de").unwrap().1, "de");
    assert!(text(&"x!".repeat(1_000), b"").len() < 300);
}

#[test]
fn an_answers_fields_are_added_once_and_the_doors_own_stay() {
    let metadata = Metadata::of(HeaderMap::new());
    metadata.clone().answer(headers(&[
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("cache-control", "max-age=60"),
        ("cache-control", "public"),
        ("vary", "x-tenant"),
    ]));
    let mut response = headers(&[("cache-control", "no-store"), ("vary", "accept")]);
    metadata.write_answer(&mut response);
    let all =
        |name: &str| response.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(all("cache-control"), ["no-store"]);
    assert_eq!(all("vary"), ["accept", "x-tenant"]);
    let mut again = HeaderMap::new();
    metadata.write_answer(&mut again);
    assert!(again.is_empty());
    let shared = metadata.without_answer();
    shared.answer(headers(&[("x-lost", "1")]));
    metadata.write_answer(&mut again);
    assert!(again.is_empty() && !shared.carries_answer());
}
