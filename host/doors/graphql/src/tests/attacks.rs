//! What is sent by those who mean no good is refused in little time, with a clear error. Nothing here looks at a clock: what is
//! exponential would take years.

use super::*;

async fn refused(query: String, says: &str) {
    let things = things();
    let door = door(std::slice::from_ref(&things), &[], GraphqlConfig::default()).unwrap();
    let got = ask(&door, &query).await;
    assert!(first_error(&got).contains(says), "{}", &got.to_string()[..got.to_string().len().min(500)]);
    assert!(got.to_string().len() < 20_000);
    assert_eq!(things.called(), [""; 0]);
}

#[tokio::test]
async fn ten_thousand_aliases() {
    let aliases: String = (0..10_000).map(|at| format!("a{at}:hello ")).collect();
    refused(format!("{{{aliases}}}"), "longer than").await;
    let aliases: String = (0..5_000).map(|at| format!("a{at}:hello ")).collect();
    refused(format!("{{{aliases}}}"), "tokens").await;
    let aliases: String = (0..3_000).map(|at| format!("a{at}:hello ")).collect();
    refused(format!("{{{aliases}}}"), "aliases").await;
}

#[tokio::test]
async fn the_same_field_over_and_over() {
    refused(format!("{{{}}}", "hello ".repeat(9_000)), "fields, with those of fragments").await;
    refused(format!("{{{}}}", "hello ".repeat(100)), "fields at its root").await;
    refused(format!("{{{}}}", "__typename ".repeat(5_000)), "fields").await;
}

#[tokio::test]
async fn deep_nesting_of_fields_lists_and_objects() {
    refused("{a".repeat(9_000), "brackets").await;
    refused(format!("{{hello(name: {}", "[".repeat(9_000)), "brackets").await;
    refused(format!("{{hello(name: {}", "{a:".repeat(9_000)), "brackets").await;
    refused(format!("{}{}", "{a".repeat(20), "}".repeat(20)), "levels of fields").await;
}

#[tokio::test]
async fn nesting_up_to_the_bound_is_walked_through() {
    let deep = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
    refused(format!("{{hello(name:{})}}", deep("[", "]", 60)), "Invalid value").await;
    refused(
        format!("{{hello(name:{})}}", deep("[{a:", "1}]", 30).replace("1}", "}").replace(":}", ":1}")),
        "Invalid value",
    )
    .await;
    refused(format!("query($a:[String]={}){{hello(name:$a)}}", deep("[", "]", 60)), "").await;
    refused(
        format!("query($a:{}String{}){{hello(name:$a)}}", "[".repeat(60), "]".repeat(60)),
        "is used where String",
    )
    .await;
    refused(format!("{{{}nothing{}}}", "...{".repeat(60), "}".repeat(60)), "Unknown field").await;
}

#[tokio::test]
async fn deep_json_in_variables() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let body = format!(r#"{{"query":"{{hello}}","variables":{{"a":{}"#, "[".repeat(100_000));
    let json = ("content-type", "application/json");
    let (status, _, body) = read(send(&door, request(Method::POST, "/", &[json], &body)).await).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(String::from_utf8_lossy(&body).contains("recursion limit exceeded"));
}

#[tokio::test]
async fn fragments_that_go_in_circles() {
    refused("{ ...A } fragment A on Query { ...A }".into(), "contains itself").await;
    refused(
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ... { ...A } }".into(),
        "contains itself",
    )
    .await;
    let ring: String =
        (0..1_000).map(|at| format!("fragment F{at} on Query{{...F{}}}", (at + 1) % 1_000)).collect();
    refused(format!("{{...F0}}{ring}"), "").await;
}

#[tokio::test]
async fn fragments_that_double() {
    let mut query = "{ ...F0 }".to_owned();
    for at in 0..30 {
        query.push_str(&format!("fragment F{at} on Query {{ ...F{} ...F{} }}", at + 1, at + 1));
    }
    query.push_str("fragment F30 on Query { hello }");
    refused(query, "fields, with those of fragments").await;
}

/// Errors of a field that is in conflict with its neighbours are as many as the selections around it.
#[tokio::test]
async fn fields_in_conflict_within_everything_that_spreads_them() {
    let differ: String = (0..400).map(|at| format!("hello(name:\"{at}\")")).collect();
    let nested = |depth: usize| format!("{}...A{}", "...{".repeat(depth), "}".repeat(depth));
    let unused: String = (0..20).map(|at| format!("fragment F{at} on Query{{{}}}", nested(50))).collect();
    let conflict = "\"hello\" stands for different fields";
    refused(format!("{{hello}}fragment A on Query{{{differ}}}{unused}"), conflict).await;
    let more: String = (0..500).map(|at| format!("fragment F{at} on Query{{...A}}")).collect();
    refused(format!("{{hello}}fragment A on Query{{{differ}}}{more}"), "fields and uses of variables").await;
}

#[tokio::test]
async fn variables_that_every_operation_lacks() {
    let used = "$a ".repeat(2_000);
    let many: String = (0..500).map(|at| format!("query Q{at}{{...A}}")).collect();
    let query = format!("fragment A on Query{{hello(name:[{used}])}}{many}");
    refused(query, "fields and uses of variables").await;
}

#[tokio::test]
async fn a_name_that_every_error_would_quote() {
    let used: String = (0..3_000).map(|at| format!("$a{at} ")).collect();
    let name = "q".repeat(30_000);
    refused(format!("query {name}{{hello(name:[{used}])}}"), "A name or number is longer than").await;
}

#[tokio::test]
async fn a_field_that_is_twice_in_one_object() {
    let refused = async |query: &str, line: u32, column: u32| {
        let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
        let got = ask(&door, query).await;
        assert_eq!(first_error(&got), "The field \"a\" is twice in one object.");
        assert_eq!(got["errors"][0]["locations"], json!([{ "line": line, "column": column }]));
    };
    refused("{ hello(name: { a: 1, b: { a: 1 }, a: 2 }) }", 1, 36).await;
    refused("query($x: [Y] = [{ a: 1 }, { a: $a # é\n,\ta :\n2 }]) { hello }", 2, 3).await;
    refused("{ hello @skip(if: { é: \"é\" a: 1 a: 2 }) }", 1, 33).await;
    // Nothing but fields of one object are: arguments, aliases, and fields of others may be called the same.
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let got =
        ask(&door, "{ name: hello(name: \"{a:1 a:1}\") b: hello(name: \"\"\"{a:1 a:1}\"\"\") hello }").await;
    assert_eq!(got.get("errors"), None, "{got}");
}

#[tokio::test]
async fn a_loader_that_fails_for_more_fields_than_there_is_room_to_tell_of() {
    let item = def("item", TypeKind::Record(vec![field("key", Type::U32)]));
    let functions = vec![
        query("items", &[], list(id(0))),
        query("load", &[("keys", list(Type::U32))], list(option(id(0)))),
    ];
    let service = Fake::new("s", schema(functions, vec![item]), |name, _| match name {
        "items" => reply(Value::List(vec![Value::Record(vec![Value::Unsigned(7)]); 100_000])),
        _ => Err(Failure::new(wharf_call::Kind::GuestTrapped, "The plugin failed.")),
    });
    let load = crate::LoadSpec { plugin: "s".into(), interface: "things".into(), function: "load".into() };
    let link = LinkSpec {
        plugin: "s".into(),
        type_name: "item".into(),
        field: "key".into(),
        as_name: "other".into(),
        load,
    };
    let config = GraphqlConfig { response_bytes_max: 32 << 20, ..GraphqlConfig::default() };
    let door = door(&[service], &[link], config).unwrap();
    let got = ask(&door, "{ items { other { key } } }").await;
    let errors = got["errors"].as_array().unwrap();
    assert_eq!((&got["data"], errors.len() < 100_000), (&Json::Null, true));
    assert_eq!(errors[0]["extensions"]["code"], "GUEST_TRAPPED");
    assert_eq!(errors.last().unwrap()["extensions"]["code"], "RESPONSE_TOO_LARGE");
}

#[tokio::test]
async fn a_long_chain_of_fragments() {
    let chain: String = (0..1_200).map(|at| format!("fragment F{at} on Query{{...F{}}}", at + 1)).collect();
    refused(format!("{{...F0}}{chain}fragment F1200 on Query{{hello}}"), "nested").await;
}

#[tokio::test]
async fn many_fragments_that_are_all_used_are_answered_soon() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let spreads: String = (0..900).map(|at| format!("...F{at} ")).collect();
    let fragments: String = (0..900).map(|at| format!("fragment F{at} on Thing{{id}}")).collect();
    let got = ask(&door, &format!("{{get(id:1){{{spreads}}}}}{fragments}")).await;
    assert_eq!(got["data"], json!({ "get": { "id": 1 } }), "{got}");
}

#[tokio::test]
async fn many_directives_and_many_that_are_repeated() {
    refused(format!("{{hello {}}}", "@skip(if: false)".repeat(1_000)), "directives").await;
    refused(format!("{{hello {}}}", "@a".repeat(4_000)), "directives").await;
}

#[tokio::test]
async fn introspection_that_goes_round() {
    let round = "types { fields { type { fields { type { fields { name } } } } } }";
    refused(format!("{{ __schema {{ {round} }} }}"), "lists within lists").await;
}

#[tokio::test]
async fn variables_of_types_that_do_not_exist() {
    refused("query($a: Nope = 1) { hello(name: $a) }".into(), "not a type").await;
    refused("query($a: [Nope!]! = [{}]) { hello(name: $a) }".into(), "not a type").await;
    refused("query($a: Thing) { hello(name: $a) }".into(), "not a type").await;
}

#[tokio::test]
async fn one_large_variable_that_is_used_many_times() {
    let service = Fake::new(
        "s",
        schema(vec![query("join", &[("all", list(Type::String))], Type::String)], vec![]),
        |_, _| reply(text("joined")),
    );
    let door = door(std::slice::from_ref(&service), &[], GraphqlConfig::default()).unwrap();
    let query = format!("query($a: String!) {{ join(all: [{}]) }}", "$a,".repeat(4_000));
    let got = ask_with(&door, &query, json!({ "a": "x".repeat(500_000) })).await;
    assert!(first_error(&got).ends_with("makes the arguments larger than the limit."), "{got}");
    assert_eq!(service.called(), [""; 0]);
}

#[tokio::test]
async fn one_large_answer_under_many_names() {
    let service =
        Fake::new("s", schema(vec![query("big", &[], Type::Tuple(vec![Type::String]))], vec![]), |_, _| {
            reply(Value::Tuple(vec![text(&"x".repeat(1 << 20))]))
        });
    let door = door(&[service], &[], GraphqlConfig::default()).unwrap();
    let aliases: String = (0..90).map(|at| format!("a{at}: f0 ")).collect();
    let got = ask(&door, &format!("{{ big {{ {aliases} }} }}")).await;
    assert_eq!(
        (&got["data"], &got["errors"][0]["extensions"]["code"]),
        (&Json::Null, &json!("RESPONSE_TOO_LARGE"))
    );
}

#[tokio::test]
async fn nonsense_of_all_kinds_is_an_error_and_nothing_else() {
    let door = door(&[things()], &[], GraphqlConfig::default()).unwrap();
    let pieces = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "hello",
        "get",
        "id",
        ":",
        "1",
        "1e999",
        "-",
        "\"",
        "\"\"\"",
        "$a",
        "@skip",
        "...",
        "on",
        "Query",
        "fragment",
        "query",
        "mutation",
        "subscription",
        "=",
        "!",
        "|",
        "&",
        "\\u0000",
        "é",
        "#",
        "\n",
        "{ get(id: 1) { id } }",
        "null",
        "true",
        "Thing",
        "($a: Int = 1)",
        "watch(count: 1)",
        "99999999999999999999",
    ];
    let mut seed = 7_u64;
    for _ in 0..3_000 {
        let mut query = String::new();
        for _ in 0..=random(&mut seed) % 12 {
            query.push_str(pieces[(random(&mut seed) as usize) % pieces.len()]);
            query.push(' ');
        }
        let got = ask(&door, &query).await;
        assert!(got["errors"].is_array() || got["data"].is_object(), "{query}: {got}");
    }
}

fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed >> 16
}
