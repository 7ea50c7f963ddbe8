//! One schema of several plugins.

use super::*;
use crate::PluginOptions;

fn plugin(name: &str, functions: Vec<Function>, types: Vec<TypeDef>) -> Arc<Fake> {
    Fake::new(name, schema(functions, types), |_, _| reply(text("x")))
}

fn options(plugins: &[(&str, &str, &[&str])]) -> GraphqlConfig {
    let options = plugins.iter().map(|(plugin, prefix, queries)| {
        let prefix = Some((*prefix).to_owned()).filter(|prefix| !prefix.is_empty());
        let queries = queries.iter().map(|&name| name.to_owned()).collect();
        ((*plugin).to_owned(), PluginOptions { prefix, queries })
    });
    GraphqlConfig { plugins: options.collect(), ..GraphqlConfig::default() }
}

fn page(ty: Type) -> TypeDef {
    def("page", TypeKind::Record(vec![field("size", ty)]))
}

#[test]
fn types_that_say_the_same_are_one_and_others_need_a_prefix() {
    let get = |name: &str| vec![query(name, &[], id(0))];
    let same =
        [plugin("a", get("get-a"), vec![page(Type::U32)]), plugin("b", get("get-b"), vec![page(Type::U32)])];
    let sdl = door(&same, &[], GraphqlConfig::default()).unwrap().sdl();
    assert_eq!(sdl.matches("type Page {").count(), 1, "{sdl}");
    let other = [
        plugin("a", get("get-a"), vec![page(Type::U32)]),
        plugin("my-b", get("get-b"), vec![page(Type::U64)]),
    ];
    let errors = door(&other, &[], GraphqlConfig::default()).err().unwrap();
    let says = "plugins \"a\" and \"my-b\" both have types of GraphQL that are called Page, and they are not the same. \
                Write [plugin.my-b] graphql_prefix = \"MyB\".";
    assert_eq!(errors, [says]);
    let sdl = door(&other, &[], options(&[("my-b", "MyB", &[])])).unwrap().sdl();
    assert!(sdl.contains("type MyBPage {") && sdl.contains("myBGetB: MyBPage!"), "{sdl}");
}

#[test]
fn fields_of_one_name_are_told_with_both_plugins() {
    let hello = || vec![query("say-hello", &[], Type::String)];
    let errors =
        door(&[plugin("a", hello(), vec![]), plugin("b", hello(), vec![])], &[], GraphqlConfig::default());
    assert!(errors.err().unwrap()[0].contains("fields of GraphQL that are called Query.sayHello"));
}

#[test]
fn what_the_manifest_says_wrong_is_told() {
    let a = || plugin("a", vec![query("hello", &[], Type::String)], vec![]);
    let refused = |config, says: &str| {
        let errors = door(&[a()], &[], config).err().unwrap();
        assert!(errors[0].contains(says), "{errors:?}");
    };
    refused(options(&[("b", "", &[])]), "plugin \"b\" exports no interface");
    refused(options(&[("a", "shop", &[])]), "write prefix = \"Shop\"");
    refused(options(&[("a", "", &["helo"])]), "no function \"helo\"; there are things.hello");
}

#[test]
fn what_is_no_query_is_a_mutation_and_a_stream_a_subscription() {
    let upload = Function { input: Some(Type::U32), ..function("upload", &[], Output::Nothing) };
    let functions = vec![
        function("find", &[("first", Type::U32)], Output::Value(Type::String)),
        function("change", &[], Output::Nothing),
        function("watch", &[], Output::Stream(Type::U32)),
        upload,
    ];
    let plugin = || plugin("a", functions.clone(), vec![]);
    let sdl = door(&[plugin()], &[], GraphqlConfig::default()).unwrap().sdl();
    assert!(sdl.contains("wharf: String!") && !sdl.contains("upload"), "{sdl}");
    let sdl = door(&[plugin()], &[], options(&[("a", "", &["things.find"])])).unwrap().sdl();
    let query = sdl.split("type Query {").nth(1).unwrap().split('}').next().unwrap();
    assert!(query.contains("find(first: UInt32!): String!") && !query.contains("wharf"), "{sdl}");
    let mutation = sdl.split("type Mutation {").nth(1).unwrap().split('}').next().unwrap();
    assert!(mutation.contains("change: Boolean!"), "{sdl}");
    let subscription = sdl.split("type Subscription {").nth(1).unwrap().split('}').next().unwrap();
    assert!(subscription.contains("watch: UInt32!"), "{sdl}");
}

#[tokio::test]
async fn a_schema_without_queries_says_the_version_of_the_host() {
    let door = door(
        &[plugin("a", vec![function("change", &[], Output::Nothing)], vec![])],
        &[],
        GraphqlConfig::default(),
    );
    assert_eq!(ask(&door.unwrap(), "{ wharf }").await["data"]["wharf"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn names_of_one_plugin_never_meet() {
    let mut second = def("thing", TypeKind::Record(vec![field("b", Type::U32)]));
    second.interface = "others".into();
    let types = vec![
        def("thing", TypeKind::Record(vec![field("a", Type::U32)])),
        second,
        def("query", TypeKind::Record(vec![field("a", Type::U32)])),
        def("shape", TypeKind::Variant(cases(&[("thing", Some(Type::U32))]))),
        def("shape-thing", TypeKind::Record(vec![field("a", Type::U32)])),
        def("shape-input", TypeKind::Record(vec![field("a", Type::U32)])),
    ];
    let all: Vec<(String, Type)> = (0..6).map(|at| (format!("p{at}"), id(at))).collect();
    let params: Vec<(&str, Type)> = all.iter().map(|(name, ty)| (name.as_str(), ty.clone())).collect();
    let functions = vec![query("all", &params, Type::Tuple(all.iter().map(|(_, ty)| ty.clone()).collect()))];
    let sdl = door(&[plugin("a", functions, types)], &[], GraphqlConfig::default()).unwrap().sdl();
    for name in ["ThingsThing", "OthersThing", "Query_", "ShapeThing", "ShapeThing_", "ShapeInput"] {
        assert!(sdl.contains(&format!("type {name} {{")), "{name}: {sdl}");
    }
    assert!(sdl.contains("input ShapeInput_ @oneOf {") && sdl.contains("input ShapeInputInput {"), "{sdl}");
}

#[test]
fn docs_and_deprecation_are_in_the_schema() {
    let old = Function {
        docs: Docs { deprecated: Some("1.2.0".into()), ..Docs::parse("Says it.\n@query") },
        ..function("old", &[], Output::Value(Type::String))
    };
    let sdl = door(&[plugin("a", vec![old], vec![])], &[], GraphqlConfig::default()).unwrap().sdl();
    assert!(sdl.contains("Says it."), "{sdl}");
    assert!(sdl.contains("@deprecated(reason: \"Deprecated since 1.2.0.\")"), "{sdl}");
}
