//! The DataLoader.

use super::*;
use crate::LoadSpec;

fn link(field: &str, as_name: &str) -> LinkSpec {
    LinkSpec {
        plugin: "products".into(),
        type_name: "order".into(),
        field: field.into(),
        as_name: as_name.into(),
        load: LoadSpec { plugin: "users".into(), interface: "things".into(), function: "load-users".into() },
    }
}

/// Orders 0 to 99: bought by user `n % 10`, seen by two more, perhaps referred by one.
fn products() -> Arc<Fake> {
    let order = def(
        "order",
        TypeKind::Record(vec![
            field("id", Type::U32),
            field("user-id", Type::String),
            field("seen-by", list(Type::String)),
            field("referrer", option(Type::String)),
        ]),
    );
    let functions = vec![
        query("orders", &[], list(id(0))),
        query("more-orders", &[], list(id(0))),
        function("touch", &[], Output::Value(id(0))),
        function("watch", &[], Output::Stream(id(0))),
    ];
    Fake::new("products", schema(functions, vec![order]), |name, _| {
        let order = |at: u64| {
            let user = |at: u64| text(&format!("u{}", at % 10));
            Value::Record(vec![
                Value::Unsigned(at),
                user(at),
                Value::List(vec![user(at + 1), text("gone")]),
                if at == 0 { Value::some(user(3)) } else { Value::NONE },
            ])
        };
        match name {
            "touch" => reply(order(1)),
            "watch" => {
                Ok(Reply::Stream(Box::pin(futures_util::stream::iter((0..2).map(move |at| Ok(order(at)))))))
            }
            _ => reply(Value::List((0..100).map(order).collect())),
        }
    })
}

/// Users by id; each has a friend, the next one. `gone` is not there, `broken` breaks the contract.
fn users(broken: bool) -> Arc<Fake> {
    let user =
        def("user", TypeKind::Record(vec![field("name", Type::String), field("friend-id", Type::String)]));
    let load = query("load-users", &[("ids", list(Type::String))], list(option(id(0))));
    let other = query("load-one", &[("id", Type::String)], id(0));
    Fake::new("users", schema(vec![load, other], vec![user]), move |_, args| {
        let Value::List(ids) = &args[0] else { unreachable!() };
        let users = ids.iter().skip(usize::from(broken)).map(|key| match key {
            Value::String(key) if key == "gone" => Value::NONE,
            Value::String(key) => {
                let friend = format!("u{}", (key[1..].parse::<u32>().unwrap() + 1) % 10);
                Value::some(Value::Record(vec![text(&format!("name of {key}")), text(&friend)]))
            }
            _ => unreachable!(),
        });
        reply(Value::List(users.collect()))
    })
}

#[tokio::test]
async fn a_hundred_orders_with_their_users_are_two_calls() {
    let (products, users) = (products(), users(false));
    let door = door(&[products.clone(), users.clone()], &[link("user-id", "user")], GraphqlConfig::default())
        .unwrap();
    let got = ask(&door, "{ orders { id user { name } } }").await;
    assert_eq!(got.get("errors"), None, "{got}");
    let orders = got["data"]["orders"].as_array().unwrap();
    assert_eq!((orders.len(), &orders[42]), (100, &json!({ "id": 42, "user": { "name": "name of u2" } })));
    assert_eq!((products.called().len(), users.called().len()), (1, 1));
    let Value::List(keys) = &users.last_args()[0] else { panic!() };
    assert_eq!(keys.len(), 10, "each key once");
}

#[tokio::test]
async fn fields_of_one_step_are_loaded_together_and_what_is_known_is_not_loaded_again() {
    let (products, users) = (products(), users(false));
    let links = [link("user-id", "user"), link("seen-by", "viewers"), link("referrer", "referred-by")];
    let mut friend = link("friend-id", "friend");
    (friend.plugin, friend.type_name) = ("users".into(), "user".into());
    let links: Vec<_> = links.into_iter().chain([friend]).collect();
    let door = door(&[products.clone(), users.clone()], &links, GraphqlConfig::default()).unwrap();
    let query = "{ orders { user { friend { name } } viewers { name } referredBy { name } } moreOrders { user { name } } }";
    let got = ask(&door, query).await;
    assert_eq!(got.get("errors"), None, "{got}");
    let first = json!({
        "user": { "friend": { "name": "name of u1" } },
        "viewers": [{ "name": "name of u1" }, null],
        "referredBy": { "name": "name of u3" },
    });
    assert_eq!(got["data"]["orders"][0], first);
    assert_eq!(got["data"]["orders"][1]["referredBy"], Json::Null);
    // One step for all of the orders' users; their friends are among them.
    assert_eq!(users.called().len(), 1);
}

#[tokio::test]
async fn a_step_with_more_keys_than_a_call_may_have_makes_several() {
    let (products, users) = (products(), users(false));
    let config = GraphqlConfig { load_batch_max: 4, ..GraphqlConfig::default() };
    let door = door(&[products, users.clone()], &[link("user-id", "user")], config).unwrap();
    let got = ask(&door, "{ orders { user { name } } }").await;
    assert_eq!(got["data"]["orders"][99]["user"]["name"], "name of u9");
    assert_eq!(users.called().len(), 3);
}

#[tokio::test]
async fn too_many_keys_are_an_error_of_their_fields() {
    let config = GraphqlConfig { loads_max: 5, ..GraphqlConfig::default() };
    let door = door(&[products(), users(false)], &[link("user-id", "user")], config).unwrap();
    let got = ask(&door, "{ orders { id user { name } } }").await;
    assert_eq!(got["data"]["orders"][7], json!({ "id": 7, "user": null }));
    assert!(first_error(&got).contains("more than 5 linked values"));
}

#[tokio::test]
async fn a_loader_that_gives_too_few_values_is_an_error_of_each_field() {
    let door =
        door(&[products(), users(true)], &[link("user-id", "user")], GraphqlConfig::default()).unwrap();
    let got = ask(&door, "{ orders { id user { name } } }").await;
    assert_eq!(got["data"]["orders"][7], json!({ "id": 7, "user": null }));
    assert_eq!(got["errors"][7]["path"], json!(["orders", 7, "user"]));
    assert_eq!(got["errors"][7]["extensions"]["code"], "INVALID_RESPONSE");
}

#[tokio::test]
async fn a_mutation_sees_no_values_from_before_it() {
    let users = users(false);
    let door =
        door(&[products(), users.clone()], &[link("user-id", "user")], GraphqlConfig::default()).unwrap();
    let got = ask(&door, "mutation { a: touch { user { name } } b: touch { user { name } } }").await;
    assert_eq!(got["data"]["b"]["user"]["name"], "name of u1");
    assert_eq!(users.called().len(), 2);
}

#[tokio::test]
async fn links_that_do_not_fit_are_told_in_words() {
    let refused = |change: &dyn Fn(&mut LinkSpec), says: &str| {
        let mut spec = link("user-id", "user");
        change(&mut spec);
        let errors = door(&[products(), users(false)], &[spec], GraphqlConfig::default()).err().unwrap();
        assert!(errors[0].contains(says), "{errors:?}");
    };
    refused(&|spec| spec.plugin = "nobody".into(), "there is no plugin \"nobody\"");
    refused(&|spec| spec.load.plugin = "nobody".into(), "there is no plugin \"nobody\"");
    refused(&|spec| spec.type_name = "ordr".into(), "has no record \"ordr\"");
    refused(&|spec| spec.field = "user".into(), "has no field \"user\"");
    refused(&|spec| spec.field = "id".into(), "not of the type");
    refused(&|spec| spec.load.function = "load".into(), "has no function \"things.load\"");
    refused(&|spec| spec.load.function = "load-one".into(), "must take one list of keys");
    refused(&|spec| spec.as_name = "id".into(), "has a field \"id\" already");
}
