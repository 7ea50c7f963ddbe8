//! The admin port: free to read for whoever reaches it, closed to browsers, writes need the token.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use wharf_harness::{body, components, empty, request, run};

use crate::{everything, host};

#[test]
fn it_answers_whether_the_host_lives_and_is_ready() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        assert_eq!(host.admin().get("/healthz").await.expect(200).text(), "ok\n");
        assert_eq!(host.admin().get("/readyz").await.expect(200).text(), "ready\n");
        host.admin().get("/nothing").await.expect(404);
        host.admin().send(request("DELETE", "/plugins", empty())).await.expect(405);
    });
}

#[test]
fn it_is_on_loopback() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let ip: IpAddr = host.admin_addr().ip();
        assert!(ip.is_loopback(), "{ip}");
    });
}

#[test]
fn a_write_needs_the_token() {
    run(async {
        let host = host(&everything("{{version-one}}")).start().await;
        let component = fs::read(components::VERSION_TWO).unwrap();
        let wrong =
            ["", "Bearer", "Bearer wrong", "Basic dXNlcjpwYXNz", &format!("Bearer {}x", host.token())];
        for value in wrong {
            for (method, path) in [("PUT", "/plugins/guest"), ("POST", "/plugins/guest/rollback")] {
                let mut request = request(method, path, body(component.clone()));
                if !value.is_empty() {
                    request.headers_mut().insert("authorization", value.parse().unwrap());
                }
                let answer = host.admin().send(request).await.expect(401);
                assert_eq!(
                    answer.header("www-authenticate").map(|value| value.starts_with("Bearer")),
                    Some(true)
                );
                assert!(!answer.text().contains(&host.token()));
            }
        }
        assert_eq!(host.admin().plugin("guest").await["serving"]["generation"], 1);
        host.admin().put("guest", component).await.expect(200);
        assert_eq!(host.admin().plugin("guest").await["serving"]["generation"], 2);
    });
}

#[test]
fn the_token_can_be_read_by_its_owner_only() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let data = host.app().path().join(".wharf");
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(data.join("admin.token")), 0o600);
        assert_eq!(mode(data), 0o700);
        assert!(!host.log().has(&host.token()), "the token is in the log");
    });
}

#[test]
fn requests_that_a_browser_was_talked_into_are_refused() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let send = async |name: &'static str, value: String, path: &str| {
            let mut request = request("GET", path, empty());
            request.headers_mut().insert(name, value.parse().unwrap());
            host.admin().send(request).await
        };
        for path in ["/plugins", "/healthz", "/metrics"] {
            send("host", "evil.example".into(), path).await.expect(421);
            send("origin", "http://evil.example".into(), path).await.expect(403);
            // A page that a plugin serves is a stranger here too, and so is a sandboxed one.
            send("origin", format!("http://{}", host.http()), path).await.expect(403);
            send("origin", "null".into(), path).await.expect(403);
            send("origin", format!("http://{}", host.admin_addr()), path).await.expect(200);
            send("host", "localhost".into(), path).await.expect(200);
        }
    });
}

#[test]
fn metrics_count_what_happened_and_no_label_comes_from_a_request() {
    run(async {
        let host = host(&everything("{{kitchen}}")).start().await;
        host.get("/hello").await.expect(200);
        host.get("/hello").await.expect(200);
        host.get("/fail/odd-kind-of-failure").await;
        host.get("/no-such-path-odd?odd-query=1").await;
        let mut odd = request("ODDMETHOD", "/odd-path", empty());
        odd.headers_mut().insert("host", "odd-host.example".parse().unwrap());
        odd.headers_mut().insert("x-request-id", "odd-id".parse().unwrap());
        host.send(odd).await;

        let metrics = host.admin().metrics().await;
        let ok = metrics.sum("wharf_http_requests_total", &["plugin=\"guest\"", "status=\"2xx\""]);
        assert_eq!(ok, 2.0, "{}", metrics.0);
        assert_eq!(metrics.sum("wharf_compile_total", &[]), 1.0, "{}", metrics.0);
        assert!(metrics.sum("process_open_fds", &[]) > 3.0, "{}", metrics.0);
        assert!(!metrics.0.to_lowercase().contains("odd"), "a request is in a label:\n{}", metrics.0);
    });
}

#[test]
fn the_command_line_lists_loads_and_rolls_back() {
    run(async {
        let host = host(&everything("{{version-one}}")).start().await;
        let wharf = async |args: &[&str]| {
            let mut all = vec!["plugin"];
            all.extend(args);
            host.app().wharf(&all).await
        };
        let generation = async || host.admin().plugin("guest").await["serving"]["generation"].clone();

        let list = wharf(&["list"]).await;
        assert_eq!(list.code, Some(0), "{list:?}");
        assert!(list.stdout.contains("guest"), "{list:?}");
        let list = wharf(&["list", "--json"]).await.json();
        assert_eq!(list["plugins"][0]["serving"]["generation"], 1, "{list}");

        let load = wharf(&["load", "guest", components::VERSION_TWO]).await;
        assert_eq!((load.code, generation().await), (Some(0), 2.into()), "{load:?}");

        let refused = wharf(&["load", "guest", components::VERSION_THREE_UNHEALTHY]).await;
        assert_eq!((refused.code, generation().await), (Some(1), 2.into()), "{refused:?}");
        assert!(refused.stderr.contains("health"), "{refused:?}");
        let list = wharf(&["list"]).await;
        assert!(list.stdout.contains("health"), "the list does not say why: {list:?}");

        let back = wharf(&["rollback", "guest", "--json"]).await;
        assert_eq!(
            (back.code, back.json()["serving"]["generation"].clone()),
            (Some(0), generation().await),
            "{back:?}"
        );
        assert_eq!(host.get("/").await.expect(200).header("x-version"), Some("one"));

        let unknown = wharf(&["rollback", "nobody"]).await;
        assert_eq!(unknown.code, Some(1), "{unknown:?}");
        assert!(unknown.stderr.contains("nobody"), "{unknown:?}");
    });
}

#[test]
fn the_command_line_says_when_no_host_runs() {
    run(async {
        let app = host(&everything("{{kitchen}}")).write();
        let list = app.wharf(&["plugin", "list"]).await;
        assert_eq!(list.code, Some(1), "{list:?}");
        assert!(list.stderr.contains("wharf up"), "{list:?}");
    });
}
