//! `examples/users` through every door, with clients that other people wrote. What these clients need beyond Rust,
//! `.ci/run` installs into `target/clients` and `tests/clients`; without it these tests fail and say so.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use wharf_harness::{Client, Host, Metrics, Protocol, TempDir, body, empty, request, run_alone};

use crate::clients::{self, client, python};
use crate::{ROOT, WHARF};

/// For a first run, which builds the plugins.
const PATIENCE: Duration = Duration::from_secs(600);

/// The example, with stores of its own.
struct Users {
    host: Host,
    data: TempDir,
}

impl Users {
    async fn start() -> Self {
        let data = TempDir::new();
        let dir = Path::new(ROOT).join("examples/users");
        let data_dir = data.path().join("data");
        let ports = ["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "json"];
        let args = ["up", dir.to_str().unwrap(), "--data", data_dir.to_str().unwrap()];
        let host = Host::spawn(WHARF, &[&args[..], &ports[..]].concat()).await;
        Users { host, data }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host.http())
    }

    async fn post(&self, path: &str, json: &Value) -> (u16, Value) {
        let mut asked = request("POST", path, body(json.to_string()));
        asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
        let answer = self.host.send(asked).await;
        let status = answer.status;
        (status, serde_json::from_str(answer.text()).unwrap_or(Value::Null))
    }

    /// The data of a GraphQL operation, which must have no errors.
    async fn graphql(&self, query: &str) -> Value {
        let (status, answer) = self.post("/graphql", &json!({ "query": query })).await;
        assert!(status == 200 && answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].clone()
    }

    async fn create(&self, name: &str) -> Value {
        let draft = json!({"name": name, "email": format!("{name}@example.com"), "tags": []});
        let (status, user) = self.post("/users", &json!({ "user": draft })).await;
        assert_eq!(status, 200, "{user:#}");
        user
    }

    /// Calls of a plugin's functions so far.
    async fn calls(&self, plugin: &str) -> f64 {
        // Metrics need no token, which is in a folder that the harness does not know.
        let mut client = Client::connect(self.host.admin_addr(), Protocol::Http1).await;
        let answer = client.answer(request("GET", "/metrics", empty())).await.expect(200);
        let metrics = Metrics(answer.text().to_owned());
        metrics.sum("wharf_rpc_calls_total", &[&format!("plugin=\"{plugin}\"")])
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.data.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn grpc_address(&self) -> String {
        self.host.http().to_string()
    }
}

/// A call of every function, in an order that makes sense.
fn script() -> Value {
    let accounts = |method: &str, requests: Value| json!({"method": format!("demo.users.v1.Accounts/{method}"), "requests": requests});
    let draft = |name: &str| json!({"name": name, "email": format!("{name}@example.com"), "tags": ["crew"]});
    let mut watch = accounts("Watch", json!([{"after": "0"}]));
    watch["take"] = json!(2);
    json!([
        accounts("CreateUser", json!([{"user": draft("ann")}])),
        accounts("CreateUser", json!([{"user": draft("ann")}])),
        accounts("GetUser", json!([{"id": "u00000001"}])),
        accounts("GetUser", json!([{"id": "nobody"}])),
        accounts("UpdateUser", json!([{"id": "u00000001", "patch": {"name": "Ann"}}])),
        accounts("ImportUsers", json!([{"item": draft("bob")}, {"item": draft("ann")}])),
        accounts("CheckEmails", json!([{"item": "ann@example.com"}, {"item": "eva@example.com"}])),
        watch,
        accounts("ListUsers", json!([{"first": 1}])),
        accounts("SearchUsers", json!([{"filter": {"text": "bob"}}])),
        accounts("LoadUsers", json!([{"ids": ["u00000003", "nobody"]}])),
        accounts("DeleteUser", json!([{"id": "u00000003"}])),
        {"method": "demo.shop.v1.Catalog/AddProduct", "requests": [{"product": {"name": "Rope", "category": "CATEGORY_GARDEN", "handling": {"flammable": true}, "price": "1250", "weight": 0.75, "stock": 10}}]},
        {"method": "demo.shop.v1.Catalog/GetProduct", "requests": [{"id": "p00000001"}]},
        {"method": "demo.shop.v1.Catalog/ListProducts", "requests": [{}]},
        {"method": "demo.shop.v1.Catalog/LoadProducts", "requests": [{"ids": ["p00000001"]}]},
        {"method": "demo.shop.v1.Orders/CreateOrder", "requests": [{"userId": "u00000001", "lines": [{"productId": "p00000001", "quantity": 2}]}]},
        {"method": "demo.shop.v1.Orders/SetState", "requests": [{"id": "o00000001", "state": {"sent": "DHL 1"}}]},
        {"method": "demo.shop.v1.Orders/GetOrder", "requests": [{"id": "o00000001"}]},
        {"method": "demo.shop.v1.Orders/ListOrders", "requests": [{"first": 10}]},
    ])
}

/// What the calls of [`script`] must give.
fn assert_script(answers: &[Value]) {
    let find = |method: &'static str| {
        answers.iter().filter(move |answer| answer["method"].as_str().unwrap().ends_with(method))
    };
    for answer in answers {
        let refused =
            answer.get("code").map(|code| (answer["method"].as_str().unwrap(), code.as_str().unwrap()));
        match refused {
            None => {}
            Some(("demo.users.v1.Accounts/CreateUser", "ALREADY_EXISTS")) => {}
            Some(("demo.users.v1.Accounts/GetUser", "NOT_FOUND")) => {}
            Some(_) => panic!("{answer:#}"),
        }
    }
    assert_eq!(find("CreateUser").filter(|answer| answer.get("code").is_some()).count(), 1);
    assert_eq!(find("GetUser").next().unwrap()["responses"][0]["result"]["name"], "ann");
    assert_eq!(find("UpdateUser").next().unwrap()["responses"][0]["result"]["name"], "Ann");
    let imported = &find("ImportUsers").next().unwrap()["responses"][0]["result"];
    assert_eq!((&imported["created"], imported["refused"].as_array().unwrap().len()), (&json!(1), 1));
    let free: Vec<_> = find("CheckEmails").next().unwrap()["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["result"]["free"] == true)
        .collect();
    assert_eq!(free, [false, true]);
    assert_eq!(find("Watch").next().unwrap()["responses"].as_array().unwrap().len(), 2);
    assert_eq!(find("GetOrder").next().unwrap()["responses"][0]["result"]["userId"], "u00000001");
}

#[test]
fn a_stock_grpc_client_that_knows_only_reflection_calls_every_function() {
    run_alone(PATIENCE, async {
        let users = Users::start().await;
        let calls = users.write("calls.json", &script().to_string());
        let mut answers = client(&python(), &["by_reflection.py", &users.grpc_address(), &calls]);
        let listed = answers.remove(0)["services"].clone();
        for (service, methods) in
            listed.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("demo."))
        {
            for method in methods.as_array().unwrap() {
                let name = format!("{service}/{}", method.as_str().unwrap());
                assert!(answers.iter().any(|answer| answer["method"] == name), "{name} is not called");
            }
        }
        assert_script(&answers);
    });
}

#[test]
fn a_client_that_is_generated_from_the_downloaded_proto_files_calls_every_function() {
    run_alone(PATIENCE, async {
        let users = Users::start().await;
        let files = users.host.get("/proto/").await.expect(200);
        for file in files.text().lines() {
            let text = users.host.get(&format!("/proto/{file}")).await.expect(200);
            users.write(&format!("proto/{file}"), text.text());
        }
        let folder = users.data.path().join("proto");
        let calls = users.write("calls.json", &script().to_string());
        let args = ["by_proto.py", &users.grpc_address(), folder.to_str().unwrap(), &calls];
        assert_script(&client(&python(), &args));
    });
}

#[test]
fn graphql_meets_the_audits_of_its_http_specification_and_a_client_understands_its_schema() {
    run_alone(PATIENCE, async {
        let users = Users::start().await;
        users.create("ann").await;
        let query = "{ getUser(id: \"u00000001\") { name status permissions contact { __typename } } }";
        let found = client(Path::new("node"), &["graphql.mjs", &users.url("/graphql"), query]);
        assert!(found[0]["audits"].as_u64().unwrap() > 50, "{}", found[0]);
        // Two of them are of the time before the specification's watershed, 2025-01-01: since then a client that accepts
        // everything is answered with the newer media type.
        let unmet = found[0]["unmet"].as_array().unwrap().iter();
        let unmet: Vec<_> = unmet.filter(|audit| audit["id"] != "47DE" && audit["id"] != "80D8").collect();
        assert!(unmet.is_empty(), "{unmet:#?}");
        assert_eq!(found[1]["problems"], json!([]));
        assert_eq!(found[2]["data"]["getUser"]["name"], "ann", "{:#}", found[2]);
        compare("schema.graphql", found[1]["sdl"].as_str().unwrap());
    });
}

#[test]
fn the_openapi_document_validates_and_a_fuzz_of_every_operation_finds_nothing_undescribed() {
    run_alone(PATIENCE, async {
        let users = Users::start().await;
        users.create("ann").await;
        let document = users.host.get("/openapi.json").await.expect(200);
        compare("openapi.json", &format!("{:#}\n", document.json()));
        let file = users.write("openapi.json", document.text());
        let validate = "import json, sys; from openapi_spec_validator import validate; validate(json.load(open(sys.argv[1])))";
        client(&python(), &["-c", validate, &file]);
        let schemathesis = clients::dir().join("bin/schemathesis");
        let mut command = Command::new(&schemathesis);
        command.args([
            "run",
            &users.url("/openapi.json"),
            "--max-examples",
            "30",
            "--seed",
            "1",
            "--workers",
            "1",
        ]);
        // Not that whatever fits the schema is accepted: no schema says that a mail's address is taken.
        let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance";
        command.args(["--checks", checks, "--phases", "examples,coverage,fuzzing", "--no-color"]);
        command.args(["--request-timeout", "20"]);
        // Streams that never end are not for a fuzzer; what a strict server refuses in a header is the gateway's own test.
        command.args(["--exclude-path-regex", "watch|check-emails|import-users"]);
        // It does not resolve a reference in the schema of a parameter that is JSON.
        command.args(["--exclude-name", "GET /rpc/demo:users@1/accounts/search-users"]);
        let output = command.current_dir(users.data.path()).output();
        let output = output
            .unwrap_or_else(|error| panic!("{}: {error}; run `.ci/clients` first", schemathesis.display()));
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}");
    });
}

#[test]
fn a_hundred_orders_with_their_users_are_two_calls() {
    run_alone(PATIENCE, async {
        let users = Users::start().await;
        for name in ["ann", "bob", "cid"] {
            users.create(name).await;
        }
        let product = "mutation { addProduct(product: {name: \"Rope\", category: GARDEN, handling: [], price: \"1\", weight: 1, stock: 1000}) { id } }";
        users.graphql(product).await;
        for n in 0..100 {
            let user = n % 3 + 1;
            let order = format!(
                "mutation {{ createOrder(userId: \"u0000000{user}\", lines: [{{productId: \"p00000001\", quantity: 1}}]) {{ id }} }}"
            );
            users.graphql(&order).await;
        }
        let before = (users.calls("products").await, users.calls("users").await);
        let data = users.graphql("{ listOrders(first: 100) { items { id user { name } } } }").await;
        let items = data["listOrders"]["items"].as_array().unwrap();
        assert_eq!(items.len(), 100);
        assert!(items.iter().all(|order| order["user"]["name"].is_string()));
        let after = (users.calls("products").await, users.calls("users").await);
        assert_eq!((after.0 - before.0, after.1 - before.1), (1.0, 1.0));
        // Without the link, each user is a call of their own.
        let aliases: String =
            (0..50).map(|n| format!("u{n}: getUser(id: \"u0000000{}\") {{ name }} ", n % 3 + 1)).collect();
        users.graphql(&format!("{{ {aliases} }}")).await;
        assert_eq!(users.calls("users").await - after.1, 50.0);
    });
}

#[test]
fn the_same_call_gives_the_same_value_and_the_same_failure_at_every_door() {
    run_alone(PATIENCE, async {
        let users = Users::start().await;
        let created = users.create("ann").await;
        let (_, rest) = users.post("/rpc/demo:users@1/accounts/get-user", &json!({"id": "u00000001"})).await;
        assert_eq!(rest, created);
        assert_eq!(users.host.get("/users/u00000001").await.expect(200).json(), created);
        let rpc =
            |id: &str| json!({"jsonrpc": "2.0", "id": 1, "method": "accounts.getUser", "params": {"id": id}});
        let (_, called) = users.post("/jsonrpc", &rpc("u00000001")).await;
        assert_eq!(called["result"], created);
        let data =
            users.graphql("{ getUser(id: \"u00000001\") { id name email created version tags } }").await;
        for (name, value) in data["getUser"].as_object().unwrap() {
            assert_eq!(*value, created[name], "{name}");
        }
        let dir = Path::new(ROOT).join("examples/users");
        let admin = format!("http://{}", users.host.admin_addr());
        let data = users.data.path().join("data");
        let mut command = Command::new(WHARF);
        command.args([
            "call",
            "users",
            "accounts.get-user",
            "{\"id\": \"u00000001\"}",
            "--json",
            "--admin",
            &admin,
        ]);
        let manifest = std::fs::read_to_string(dir.join("wharf.toml")).unwrap();
        let manifest = manifest.replace("name = \"users\"", &format!("name = \"users\"\ndata = {data:?}"));
        let folder = users.write("app/wharf.toml", &manifest);
        command.args(["--dir", Path::new(&folder).parent().unwrap().to_str().unwrap()]);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), created);

        let (status, problem) =
            users.post("/rpc/demo:users@1/accounts/get-user", &json!({"id": "nobody"})).await;
        assert_eq!(
            (status, &problem["kind"], &problem["error"]),
            (404, &json!("not_found"), &json!("notFound"))
        );
        let (_, called) = users.post("/jsonrpc", &rpc("nobody")).await;
        assert_eq!(
            (&called["error"]["data"]["kind"], &called["error"]["data"]["error"]),
            (&json!("not_found"), &json!("notFound"))
        );
        let (_, answer) =
            users.post("/graphql", &json!({"query": "{ getUser(id: \"nobody\") { id } }"})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_FOUND", "{answer:#}");
    });
}

#[test]
fn malformed_input_gets_each_doors_own_clear_error() {
    run_alone(PATIENCE, async {
        let users = Users::start().await;
        let nested = "[".repeat(100_000) + &"]".repeat(100_000);
        let rest = "/rpc/demo:users@1/accounts/create-user";
        for (text, says) in [
            (format!("{{\"user\": {nested}}}"), "user"),
            ("{\"user\": {\"name\": 1}}".to_owned(), "user.name"),
            ("{\"user\": {\"nmae\": \"x\"}}".to_owned(), "nmae"),
            ("{\"user\": {\"name\": \"x\"}}".to_owned(), "email"),
            ("{\"user\": ".to_owned(), ""),
        ] {
            let asked = |path: &str| {
                let mut asked = request("POST", path, body(text.clone()));
                asked.headers_mut().insert("content-type", "application/json".parse().unwrap());
                asked
            };
            let answer = users.host.send(asked(rest)).await.expect_problem(400, "bad_request");
            assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{}", answer.text());
            let rpc = format!(
                "{{\"jsonrpc\": \"2.0\", \"id\": 7, \"method\": \"accounts.createUser\", \"params\": {text}}}"
            );
            let mut called = request("POST", "/jsonrpc", body(rpc));
            called.headers_mut().insert("content-type", "application/json".parse().unwrap());
            let called = users.host.send(called).await.expect(200).json();
            assert!(
                called["error"]["code"].as_i64().is_some_and(|code| code == -32602 || code == -32700),
                "{called}"
            );
        }
        let mut broken = request("POST", rest, body(&b"{\"user\": {\"name\": \"\xff\"}}"[..]));
        broken.headers_mut().insert("content-type", "application/json".parse().unwrap());
        users.host.send(broken).await.expect_problem(400, "bad_request");
        let mut wrong = request("POST", rest, body("a=b"));
        wrong.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        users.host.send(wrong).await.expect_problem(415, "unsupported_media_type");
        for query in [
            "{".repeat(20_000),
            format!("{{ {} }}", (0..10_000).map(|n| format!("a{n}: __typename ")).collect::<String>()),
            "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }".to_owned(),
        ] {
            let (status, answer) = users.post("/graphql", &json!({ "query": query })).await;
            assert!(status == 200 || status == 400, "{status}");
            assert!(answer["errors"][0]["message"].is_string(), "{answer:#}");
        }
        // A message of gRPC that claims 4 GiB, and one that is none.
        for frame in [&b"\0\xff\xff\xff\xffx"[..], b"\0\0\0\0\x02\xff\xff"] {
            let mut client = users.host.connect(Protocol::Http2).await;
            let mut asked =
                request("POST", "/demo.users.v1.Accounts/GetUser", body(Bytes::from_static(frame)));
            asked.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            let answer = client.answer(asked).await.expect(200);
            let code = answer.header("grpc-status").map(str::to_owned);
            assert!(matches!(code.as_deref(), Some("3" | "8" | "13")), "{answer:?}");
        }
        // And all of them are none the worse for it.
        users.create("ann").await;
    });
}

/// The committed contract of the example; `UPDATE_EXPECT=1` rewrites it.
fn compare(name: &str, actual: &str) {
    let path = Path::new(ROOT).join("examples/users/contract").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{} is not what is served now; UPDATE_EXPECT=1 rewrites it", path.display());
}
