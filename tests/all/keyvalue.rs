//! Key-value buckets: who may open them, what they keep, and what holds those who fill them.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use wharf_harness::{
    Answer, Client, Host, Protocol, RequestBody, components, empty, eventually, request, run, run_alone,
};

use crate::{everything, host};

/// Guests that do the same in our own world, as wasi:http 0.3 and as wasi:http 0.2.
const WORLDS: [&str; 3] = ["{{state-handler}}", "{{state-wasip3}}", "{{state-wstd}}"];

/// One plugin with the bucket `notes`.
fn granted(component: &str) -> String {
    everything(component) + "\n[plugin.guest.config]\n[plugin.guest.grants]\nkeyvalue = [\"notes\"]\n"
}

/// A plugin of its own below `/NAME`, with these lines in its section of grants and then others.
fn plugin(name: &str, component: &str, grants: &str) -> String {
    format!(
        "
        [plugin.{name}]
        component = \"{component}\"
        config = {{}}
        [plugin.{name}.grants]
        {grants}

        [[route]]
        host = \"{name}\"
        path = \"/{{*rest}}\"
        plugin = \"{name}\"
        "
    )
}

fn put(path: &str, value: impl Into<Vec<u8>>) -> Request<RequestBody> {
    request("PUT", path, wharf_harness::body(value.into()))
}

/// The same request for one of several plugins.
fn to(name: &str, mut request: Request<RequestBody>) -> Request<RequestBody> {
    request.headers_mut().insert("host", name.parse().unwrap());
    request
}

#[test]
fn a_granted_bucket_does_everything_in_every_world() {
    run(async {
        for component in WORLDS {
            let host = host(&granted(component)).start().await;
            let ask = async |method: &str, path: &str, body: &str| {
                host.send(request(method, path, wharf_harness::body(body.to_owned()))).await
            };
            // store
            ask("GET", "/key/a", "").await.expect(404);
            ask("PUT", "/key/a", "one").await.expect(204);
            ask("PUT", "/key/empty", "").await.expect(204);
            assert_eq!(ask("GET", "/key/a", "").await.expect(200).text(), "one", "{component}");
            assert_eq!(ask("GET", "/key/empty", "").await.expect(200).text(), "");
            assert_eq!(ask("GET", "/exists/empty", "").await.expect(200).text(), "true");
            ask("DELETE", "/key/empty", "").await.expect(204);
            ask("DELETE", "/key/never-there", "").await.expect(204);
            assert_eq!(ask("GET", "/exists/empty", "").await.expect(200).text(), "false");
            assert_eq!(ask("GET", "/keys", "").await.expect(200).text(), "1 pages\na\n");
            // atomics
            assert_eq!(ask("POST", "/increment/n?by=5", "").await.expect(200).text(), "5");
            assert_eq!(ask("POST", "/increment/n?by=-7", "").await.expect(200).text(), "-2");
            assert_eq!(ask("GET", "/key/n", "").await.expect(200).text(), "-2");
            assert!(
                ask("POST", "/increment/a", "").await.expect(422).text().contains("not a decimal number")
            );
            let said = ask("POST", "/conflict/new", "mine").await.expect(200);
            assert_eq!(said.text(), "before None, then somebody else's, again true\n", "{component}");
            assert_eq!(ask("GET", "/key/new", "").await.expect(200).text(), "mine");
            // batch
            ask("PUT", "/many/x,y,z", "v").await.expect(204);
            ask("DELETE", "/many/y,never-there", "").await.expect(204);
            assert_eq!(ask("GET", "/many/z,y,x", "").await.expect(200).text(), "z=v\nnothing\nx=v\n");
        }
    });
}

#[test]
fn a_component_that_wants_buckets_is_refused_when_it_has_none() {
    run(async {
        let line = "[plugin.guest.grants]\n  keyvalue = [\"notes\"]";
        for component in WORLDS {
            let manifest = everything(component) + "\n[plugin.guest.config]\n";
            let app = host(&manifest).write();
            for found in [app.wharf(&["check", "."]).await, app.wharf(&["up", "."]).await] {
                assert_eq!(found.code, Some(1), "{found:?}");
                for interface in ["store", "atomics", "batch"] {
                    let interface = format!("imports wasi:keyvalue/{interface}@0.2.0-draft2");
                    assert!(found.stderr.contains(&interface), "{component}: {}", found.stderr);
                }
                assert!(unindented(&found.stderr).contains(&unindented(line)), "{}", found.stderr);
            }
            assert!(!app.path().join(".wharf/state").exists(), "nobody needs a store");
        }
        let host = host(&(everything("{{kitchen}}") + "\n[plugin.guest.config]\n")).start().await;
        let answer = host.admin().put_file("guest", components::STATE_WSTD).await.expect(422);
        assert_eq!(answer.json()["stage"], "grant", "{answer:?}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(line), "{answer:?}");
        host.get("/hello").await.expect(200);
    });
}

/// Diagnostics put lines under a margin of their own.
fn unindented(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_bucket_that_was_not_granted_is_denied_and_said_once_a_second() {
    run(async {
        for component in WORLDS {
            let host = host(&granted(component)).start().await;
            let mut client = host.connect(Protocol::Http1).await;
            for _ in 0..50 {
                let denied = client.answer(put("/key/a?bucket=secrets", "x")).await.expect(403);
                assert_eq!(denied.text(), "access denied\n");
            }
            client.answer(put("/key/a", "x")).await.expect(204);
            let line = host.log().wait_json(0, "the refusal", |line| line["target"] == "wharf::guest").await;
            assert_eq!((&line["level"], &line["plugin"]), (&"WARN".into(), &"guest".into()), "{line}");
            assert!(line["request_id"].is_string(), "{line}");
            let message = line["message"].as_str().unwrap();
            assert!(message.contains("opens the bucket \"secrets\", which it was not granted"), "{message}");
            assert!(
                message.contains("[plugin.guest.grants]\n  keyvalue = [\"notes\", \"secrets\"]"),
                "{message}"
            );
            let lines = host.log().since(0).iter().filter(|line| line.contains("secrets\\\", which")).count();
            assert!((1..50).contains(&lines), "{lines} lines for 50 refusals");
            let metrics = host.admin().metrics().await;
            let refused =
                metrics.sum("wharf_plugin_refused_total", &["plugin=\"guest\"", "reason=\"keyvalue\""]);
            assert_eq!(refused, 50.0, "{component}");
        }
    });
}

#[test]
fn plugins_with_the_same_bucket_share_it_and_others_do_not_see_it() {
    run(async {
        let manifest = plugin("one", "{{state-handler}}", "keyvalue = [\"shared\"]")
            + &plugin("two", "{{state-wasip3}}", "keyvalue = [\"own\", \"shared\"]")
            + &plugin("three", "{{state-wstd}}", "keyvalue = [\"other\"]");
        let host = host(&manifest).start().await;
        host.send(to("one", put("/key/a?bucket=shared", "from one"))).await.expect(204);
        let get = |path: &str| request("GET", path, empty());
        let seen = host.send(to("two", get("/key/a?bucket=shared"))).await.expect(200);
        assert_eq!(seen.text(), "from one");
        host.send(to("two", put("/key/a?bucket=shared", "from two"))).await.expect(204);
        assert_eq!(host.send(to("one", get("/key/a?bucket=shared"))).await.expect(200).text(), "from two");
        // The same key in another bucket is another key.
        host.send(to("two", get("/key/a?bucket=own"))).await.expect(404);
        host.send(to("three", get("/key/a?bucket=other"))).await.expect(404);
        for bucket in ["shared", "own"] {
            host.send(to("three", get(&format!("/key/a?bucket={bucket}")))).await.expect(403);
        }
    });
}

#[test]
fn values_survive_a_swap_a_restart_and_a_crash() {
    run(async {
        let host = host(&granted("{{state-handler}}")).start().await;
        host.send(put("/key/a", "kept")).await.expect(204);
        host.admin().put_file("guest", components::STATE_WASIP3).await.expect(200);
        assert_eq!(host.get("/key/a").await.expect(200).text(), "kept");
        host.send(put("/key/b", "by the second")).await.expect(204);
        let host = host.stop().await.start().await;
        host.send(put("/key/c", "by the third")).await.expect(204);
        let host = host.kill().await.start().await;
        assert_eq!(
            host.get("/many/a,b,c").await.expect(200).text(),
            "a=kept\nb=by the second\nc=by the third\n"
        );
    });
}

#[test]
fn buckets_come_and_go_with_the_manifest() {
    run(async {
        let generation = async |host: &Host, number: u64| {
            let serves = |status: &serde_json::Value| status["serving"]["generation"] == number;
            host.admin().wait("guest", &format!("generation {number}"), serves).await;
        };
        let applied = async |host: &Host, times: usize| {
            let count =
                || host.log().since(0).iter().filter(|line| line.contains("manifest applied")).count();
            eventually(&format!("{times} manifests"), async || (count() == times).then_some(())).await;
        };
        let with =
            |buckets: &str, more: &str| granted("{{state-handler}}").replace("[\"notes\"]", buckets) + more;
        let host = host(&everything("{{kitchen}}")).start().await;
        assert!(!host.app().path().join(".wharf/state").exists(), "nobody needs a store yet");

        host.app().set_manifest(&with("[\"notes\"]", ""));
        generation(&host, 2).await;
        host.send(put("/key/a", vec![b'x'; 5_000])).await.expect(204);

        // Another bucket instead: the old one is out of reach, and what it has stays.
        host.app().set_manifest(&with("[\"other\"]", ""));
        generation(&host, 3).await;
        host.get("/key/a?bucket=notes").await.expect(403);
        host.get("/key/a?bucket=other").await.expect(404);

        // Back, with a quota that is smaller than what is stored: it can be read and shrunk.
        host.app().set_manifest(&with("[\"notes\"]", "[keyvalue.bucket.notes]\nquota = \"4KiB\"\n"));
        generation(&host, 4).await;
        assert_eq!(host.get("/key/a").await.expect(200).body.len(), 5_000);
        host.send(put("/key/b", "more")).await.expect(422);

        // A quota alone changes without a new generation.
        applied(&host, 3).await;
        host.app().set_manifest(&with("[\"notes\"]", "[keyvalue]\nquota = \"16KiB\"\n"));
        applied(&host, 4).await;
        host.send(put("/key/b", "more")).await.expect(204);
        generation(&host, 4).await;

        // None at all: the component needs one, so nothing changes.
        let mark = host.log().mark();
        host.app().set_manifest(&with("[]", ""));
        host.log().wait_from(mark, "the refusal", |line| line.contains("the manifest was not applied")).await;
        assert_eq!(host.get("/key/b").await.expect(200).text(), "more");

        // What is fixed when the store is opened needs a restart.
        let mark = host.log().mark();
        host.app().set_manifest(&with("[\"notes\"]", "[keyvalue]\nvalue_bytes = \"2KiB\"\n"));
        let refused =
            host.log().wait_from(mark, "the refusal", |line| line.contains("was not applied")).await;
        assert!(refused.contains("a change of keyvalue.value_bytes needs a restart"), "{refused}");
        let host = host.stop().await.start().await;
        host.send(put("/key/c", vec![0; 2_049])).await.expect(422);
        assert_eq!(host.get("/key/a").await.expect(200).body.len(), 5_000);
    });
}

#[test]
fn a_full_bucket_refuses_what_makes_it_larger_and_its_neighbour_does_not_notice() {
    run(async {
        let manifest = plugin("full", "{{state-wstd}}", "keyvalue = [\"small\"]")
            + &plugin("neighbour", "{{state-handler}}", "keyvalue = [\"roomy\"]")
            + "[keyvalue.bucket.small]\nquota = \"8KiB\"\n";
        let host = host(&manifest).start().await;
        let fill = request("POST", "/fill?bucket=small", wharf_harness::body(vec![b'x'; 987]));
        // A key has 13 bytes: 8 entries have 8,000 bytes, and a ninth does not fit.
        let said = host.send(to("full", fill)).await.expect(200);
        assert!(said.text().starts_with("8 keys, then "), "{}", said.text());
        assert!(
            said.text().contains("the bucket \\\"small\\\" would hold more than 8192 bytes"),
            "{}",
            said.text()
        );
        let line = host.log().wait("[keyvalue.bucket.small]").await;
        assert!(line.contains("quota = 16384") && line.contains("full"), "{line}");

        // A smaller value, a deletion and then a new one are welcome.
        host.send(to("full", put("/key/fill-00000000?bucket=small", "small"))).await.expect(204);
        host.send(to("full", request("DELETE", "/key/fill-00000001?bucket=small", empty())))
            .await
            .expect(204);
        host.send(to("full", put("/key/new?bucket=small", vec![0; 900]))).await.expect(204);
        // A batch is refused as a whole.
        host.send(to("full", put("/many/p,q,r?bucket=small", vec![0; 900]))).await.expect(422);
        let nothing = host.send(to("full", request("GET", "/many/p,q,r?bucket=small", empty()))).await;
        assert_eq!(nothing.expect(200).text(), "nothing\nnothing\nnothing\n");

        host.send(to("neighbour", put("/key/a?bucket=roomy", vec![0; 100_000]))).await.expect(204);
        let used = host.admin().metrics().await.sum("wharf_kv_bucket_bytes", &["bucket=\"small\""]);
        assert!((900.0..=8_192.0).contains(&used), "{used} bytes");
    });
}

#[test]
fn keys_values_and_batches_have_a_largest_size() {
    run(async {
        let host =
            host(&(granted("{{state-wasip3}}") + "[keyvalue]\nvalue_bytes = \"64KiB\"\n")).start().await;
        let refused = async |request: Request<RequestBody>, why: &str| {
            let answer = host.send(request).await.expect(422);
            assert!(answer.text().contains(why), "{why}: {}", answer.text());
        };
        host.send(put("/key/v", vec![1; 65_536])).await.expect(204);
        assert_eq!(host.get("/key/v").await.expect(200).body, vec![1; 65_536]);
        refused(put("/key/v", vec![2; 65_537]), "more than 65536 bytes of a value").await;
        refused(request("POST", "/append/v", wharf_harness::body("x")), "more than 65536 bytes of a value")
            .await;
        assert_eq!(host.get("/key/v").await.expect(200).body, vec![1; 65_536]);

        let key = |bytes: usize| format!("/key/{}", "k".repeat(bytes));
        host.send(put(&key(1_024), "x")).await.expect(204);
        for method in ["GET", "PUT", "DELETE"] {
            refused(request(method, &key(1_025), empty()), "more than 1024 bytes of a key").await;
            refused(request(method, "/key/", empty()), "a key needs at least one byte").await;
        }
        let many = |count: usize| format!("/many/{}", vec!["k"; count].join(","));
        host.send(put(&many(1_000), "x")).await.expect(204);
        for method in ["GET", "PUT", "DELETE"] {
            refused(request(method, &many(1_001), empty()), "more than 1000 keys in one call").await;
        }
        refused(put(&many(65), vec![0; 65_000]), "more than 4194304 bytes in one call").await;
    });
}

#[test]
fn every_key_is_on_one_of_the_pages() {
    run(async {
        let host = host(&granted("{{state-handler}}")).start().await;
        assert_eq!(host.get("/keys").await.expect(200).text(), "1 pages\n");
        host.send(put("/numbered?count=2500", "x")).await.expect(204);
        let listed = host.get("/keys").await.expect(200);
        let (pages, keys) = listed.text().split_once('\n').unwrap();
        assert_eq!(pages, "3 pages");
        let expected: String = (0..2_500).map(|n| format!("key-{n:05}\n")).collect();
        assert!(keys == expected, "{} keys", keys.lines().count());
    });
}

#[test]
fn what_many_requests_count_and_append_at_once_adds_up() {
    const CLIENTS: usize = 8;
    const TIMES: usize = 25;
    run(async {
        for component in WORLDS {
            let host = host(&granted(component)).start().await;
            let mut clients = JoinSet::new();
            for _ in 0..CLIENTS {
                let mut client = host.connect(Protocol::Http1).await;
                clients.spawn(async move {
                    let mut conflicts = 0;
                    for _ in 0..TIMES {
                        client.answer(request("POST", "/increment/n?by=3", empty())).await.expect(200);
                        let append = request("POST", "/append/list", wharf_harness::body("ab"));
                        let answer = client.answer(append).await.expect(200);
                        conflicts += answer.text().parse::<u64>().unwrap();
                    }
                    conflicts
                });
            }
            let conflicts: u64 = clients.join_all().await.into_iter().sum();
            let sum = (CLIENTS * TIMES * 3).to_string();
            assert_eq!(host.get("/key/n").await.expect(200).text(), sum, "{component}");
            let list = host.get("/key/list").await.expect(200);
            assert_eq!(list.text(), "ab".repeat(CLIENTS * TIMES), "{component}, {conflicts} conflicts");
            assert!(conflicts > 0, "{component}: nobody was in anybody's way, so nothing was proven");
        }
    });
}

#[test]
fn values_in_handles_count_as_the_instances_memory() {
    run(async {
        let limits = "[plugin.guest.limits]\nmemory = \"16MiB\"\nwall = \"60s\"\n";
        for component in WORLDS {
            let host = host(&(granted(component) + limits)).start().await;
            host.send(put("/key/v", vec![0; 1 << 20])).await.expect(204);
            // Twice: what the first call held was given back.
            for _ in 0..2 {
                let said = host.post("/hoard/v", "").await.expect(200);
                assert!(said.text().starts_with("15 handles, then "), "{component}: {}", said.text());
                assert!(said.text().contains("limits.memory"), "{}", said.text());
            }
        }
    });
}

#[test]
fn a_guest_that_writes_keys_without_end_is_held_and_its_neighbour_is_served() {
    run(async {
        let rogue = plugin("rogue", "{{state-wasip3}}", "keyvalue = [\"flood\"]")
            + "[plugin.rogue.limits]\nwall = \"2s\"\ncpu = \"10s\"\n"
            + "[keyvalue.bucket.flood]\nquota = \"1MiB\"\n";
        let neighbour = plugin("neighbour", "{{state-handler}}", "keyvalue = [\"calm\"]");
        let host = host(&(rogue + &neighbour)).start().await;
        let mut floods = JoinSet::new();
        for _ in 0..4 {
            let mut client = host.connect(Protocol::Http1).await;
            floods.spawn(async move {
                let fill =
                    request("POST", "/fill-forever?bucket=flood", wharf_harness::body(vec![0; 10_000]));
                client.answer(to("rogue", fill)).await.expect_problem(504, "timeout");
            });
        }
        host.admin().wait("rogue", "all write", |status| status["serving"]["in_flight"] == 4).await;
        let mut client = host.connect(Protocol::Http1).await;
        let mut written = 0;
        let first = loop {
            if let Some(ended) = floods.try_join_next() {
                break ended;
            }
            client.answer(to("neighbour", put("/key/n?bucket=calm", written.to_string()))).await.expect(204);
            let read = client.answer(to("neighbour", request("GET", "/key/n?bucket=calm", empty()))).await;
            assert_eq!(read.expect(200).text(), written.to_string());
            written += 1;
        };
        first.unwrap();
        assert!(written >= 10, "{written} answers while four guests wrote without end");
        floods.join_all().await;
        let metrics = host.admin().metrics().await;
        let used = metrics.sum("wharf_kv_bucket_bytes", &["bucket=\"flood\""]);
        assert!(used <= f64::from(1 << 20), "{used} bytes");
        let refused =
            metrics.sum("wharf_plugin_refused_total", &["plugin=\"rogue\"", "reason=\"keyvalue_quota\""]);
        assert!(refused > 0.0, "the quota was never reached");
    });
}

/// Eight writers, and a host that is killed in the middle of their writes again and again.
mod kill {
    use super::*;

    pub(super) const ROUNDS: u64 = 50;
    const WRITERS: u64 = 8;
    /// Keys of each writer.
    const KEYS: u64 = 4;

    /// What may be under a key: the value of the last write that was acknowledged, or of the one that was
    /// under way when the host died.
    #[derive(Clone, Default)]
    pub(super) struct Expected {
        acknowledged: Option<u64>,
        unknown: Option<u64>,
    }

    pub(super) type All = BTreeMap<String, Expected>;

    /// SplitMix64 (G. L. Steele et al., OOPSLA 2014): the same moments in every run.
    pub(super) fn random(seed: u64) -> u64 {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A value that no part of it, and no mixture of two, can be taken for.
    fn value(number: u64) -> Vec<u8> {
        let words = random(number) % 1_000;
        let tail = (0..words).flat_map(|n| random(number ^ (n << 40)).to_le_bytes());
        number.to_le_bytes().into_iter().chain(words.to_le_bytes()).chain(tail).collect()
    }

    fn number(value: &[u8]) -> u64 {
        u64::from_le_bytes(*value.first_chunk().expect("a value begins with its number"))
    }

    /// Writes until the connection breaks, and tells of each write that was acknowledged.
    async fn write(mut client: Client, writer: u64, round: u64, written: UnboundedSender<()>) -> All {
        let mut all = All::new();
        for n in 0.. {
            let key = format!("w{writer}-{}", n % KEYS);
            let number = round << 32 | n << 8 | writer;
            let expected = all.entry(key.clone()).or_default();
            expected.unknown = Some(number);
            let answer = client.try_answer(put(&format!("/key/{key}"), value(number))).await;
            match answer {
                Ok(Answer { status: 204, .. }) => {
                    *expected = Expected { acknowledged: Some(number), unknown: None };
                    let _ = written.send(());
                }
                Ok(other) => panic!("a write was refused: {other:?}"),
                Err(_) => return all,
            }
        }
        unreachable!("the host is killed at some time")
    }

    /// Lets all writers write until `acknowledged` writes are, and kills the host at that very moment.
    pub(super) async fn round(
        host: Host,
        round: u64,
        acknowledged: usize,
        all: &mut All,
    ) -> wharf_harness::App {
        let (sender, mut written) = unbounded_channel();
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let client = host.connect(Protocol::Http1).await;
            writers.spawn(write(client, writer, round, sender.clone()));
        }
        for _ in 0..acknowledged {
            written.recv().await.expect("writers end only when the host does");
        }
        let app = host.kill().await;
        for (key, seen) in writers.join_all().await.into_iter().flatten() {
            let known = all.entry(key).or_default();
            *known = Expected { acknowledged: seen.acknowledged.or(known.acknowledged), ..seen };
        }
        app
    }

    pub(super) async fn check(host: &Host, round: u64, all: &mut All) {
        let mut client = host.connect(Protocol::Http1).await;
        for (key, expected) in all {
            let answer = client.answer(request("GET", &format!("/key/{key}"), empty())).await;
            let found = match answer.status {
                404 => None,
                _ => Some(answer.expect(200).body),
            };
            let found = found.map(|bytes| {
                let number = number(&bytes);
                assert!(bytes == value(number), "round {round}: a torn value under {key}");
                number
            });
            let allowed = [expected.acknowledged, expected.unknown.or(expected.acknowledged)];
            assert!(allowed.contains(&found), "round {round}: {key} has {found:x?}, not one of {allowed:x?}");
            // Now it is known.
            *expected = Expected { acknowledged: found, unknown: None };
        }
    }
}

#[test]
fn every_acknowledged_write_survives_kill_9_and_none_is_torn() {
    run_alone(Duration::from_secs(300), async {
        let mut all = kill::All::new();
        let mut app = host(&granted("{{state-handler}}")).write();
        let mut acknowledged = 0;
        for round in 0..kill::ROUNDS {
            let host = app.start().await;
            kill::check(&host, round, &mut all).await;
            let writes = usize::try_from(1 + kill::random(round) % 150).unwrap();
            acknowledged += writes;
            app = kill::round(host, round, writes, &mut all).await;
        }
        let host = app.start().await;
        kill::check(&host, kill::ROUNDS, &mut all).await;
        println!("{} rounds, {acknowledged} acknowledged writes and more", kill::ROUNDS);
    });
}
