//! `wharf profile`: what a plugin computes, for the Firefox profiler.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;
use wharf_harness::{Client, Host, Protocol, empty, eventually, request, run, within};

use crate::{everything, host};

/// A rogue that may spin for long, and a neighbour.
async fn start() -> Host {
    let limits = "\n[plugin.guest.limits]\ncpu = \"2m\"\nwall = \"2m\"\n";
    host(&(everything("{{rogue}}") + limits)).start().await
}

/// A call that spins until the value is dropped.
async fn spin(host: &Host) -> tokio::task::JoinSet<()> {
    let mut client = Client::connect(host.http(), Protocol::Http1).await;
    let mut spinning = tokio::task::JoinSet::new();
    spinning.spawn(async move {
        let _ = client.send(request("GET", "/spin", empty())).await;
    });
    host.admin().wait("guest", "it spins", |status| status["serving"]["in_flight"] == 1).await;
    spinning
}

/// How often each stack was met: its functions, the innermost first.
///
/// The tables are those of the format: a sample names a stack, a stack its innermost frame and the stack around
/// it, a frame its function, a function its name
/// (<https://github.com/firefox-devtools/profiler/blob/main/docs-developer/processed-profile-format.md>).
fn stacks(profile: &Value) -> BTreeMap<Vec<String>, usize> {
    assert!(profile["meta"]["preprocessedProfileVersion"].as_u64().is_some_and(|version| version >= 40));
    assert!(profile["meta"]["interval"].is_number() && profile["meta"]["startTime"].is_number());
    let [thread] = &profile["threads"].as_array().unwrap()[..] else { panic!("one thread") };
    let strings = [&thread["stringArray"], &profile["shared"]["stringArray"]];
    let strings = strings.iter().find_map(|strings| strings.as_array()).expect("strings");
    let cell = |table: &str, column: &str, row: usize| {
        thread[table][column][row].as_u64().map(|value| usize::try_from(value).unwrap())
    };
    let mut stacks = BTreeMap::new();
    let length = thread["samples"]["length"].as_u64().unwrap();
    for sample in thread["samples"]["stack"].as_array().unwrap() {
        let mut at = sample.as_u64().map(|stack| usize::try_from(stack).unwrap());
        let mut names = Vec::new();
        while let Some(stack) = at {
            let frame = cell("stackTable", "frame", stack).unwrap();
            let function = cell("frameTable", "func", frame).unwrap();
            let name = cell("funcTable", "name", function).unwrap();
            names.push(strings[name].as_str().unwrap().to_owned());
            at = cell("stackTable", "prefix", stack);
        }
        *stacks.entry(names).or_default() += 1;
    }
    assert_eq!(stacks.values().sum::<usize>() as u64, length);
    stacks
}

#[test]
fn a_guest_that_spins_is_met_in_the_function_that_spins() {
    run(async {
        let host = start().await;
        let spinning = spin(&host).await;
        let done = host.app().wharf(&["profile", "guest", "--seconds", "1", "--json"]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        let path = host.app().path().join("profile.json");
        let profile: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let stacks = stacks(&profile);
        let samples: usize = stacks.values().sum();
        assert_eq!(done.json()["samples"], samples);
        // A tick is a millisecond; a machine that is busy with other tests has fewer.
        assert!(samples >= 50, "{samples}");
        let spun: usize = stacks
            .iter()
            .filter(|(names, _)| names.first().is_some_and(|name| name.contains("rogue::deep::spin")))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(spun, samples, "{stacks:?}");
        assert!(stacks.keys().all(|names| names.len() > 1), "a stack has its callers: {stacks:?}");
        drop(spinning);
    });
}

#[test]
fn a_plugin_that_computes_nothing_has_an_empty_profile() {
    run(async {
        let host = start().await;
        let done = host.app().wharf(&["profile", "guest", "--seconds", "1", "--output", "empty.json"]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.stdout.starts_with("wrote 0 samples to empty.json"), "{done:?}");
        assert!(done.stderr.contains("send it requests meanwhile"), "{done:?}");
        let path = host.app().path().join("empty.json");
        let profile: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert!(stacks(&profile).is_empty());
    });
}

#[test]
fn one_recording_at_a_time_and_it_ends_with_who_wants_it() {
    run(async {
        let host = start().await;
        let admin = host.admin();
        // Until it is not the one that is refused.
        let first = tokio::spawn(async move { while admin.profile("guest", 300).await.status == 409 {} });
        let second = eventually("the first to record", async || {
            let answer = host.admin().profile("guest", 1).await;
            (answer.status == 409).then_some(answer)
        })
        .await;
        assert!(
            second.json()["detail"].as_str().unwrap().contains("is being recorded already"),
            "{second:?}"
        );
        let refused = host.app().wharf(&["profile", "guest", "--seconds", "1"]).await;
        assert!(refused.code == Some(1) && refused.stderr.contains("recorded already"), "{refused:?}");
        // The client hangs up: nobody wants it any more.
        first.abort();
        eventually("the next to record", async || {
            (host.admin().profile("guest", 1).await.status == 200).then_some(())
        })
        .await;
    });
}

#[test]
fn requests_are_served_while_their_plugin_is_recorded() {
    run(async {
        let host = start().await;
        let admin = host.admin();
        let mut recording = tokio::spawn(async move { admin.profile("guest", 1).await });
        let mut served = 0;
        while !recording.is_finished() {
            assert_eq!(host.get("/hello").await.expect(200).text(), "hello\n");
            served += 1;
        }
        assert!(served >= 10, "{served}");
        let answer = within(Duration::from_secs(5), "the profile", &mut recording).await.unwrap().expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        stacks(&answer.json());
    });
}

#[test]
fn a_plugin_that_is_not_there_cannot_be_recorded() {
    run(async {
        let host = start().await;
        host.admin().profile("nobody", 1).await.expect(404);
        host.admin().profile("guest", 301).await.expect(400);
        let failed = host.app().wharf(&["profile", "nobody"]).await;
        assert!(
            failed.code == Some(1) && failed.stderr.contains("there is no plugin \"nobody\""),
            "{failed:?}"
        );
        assert_eq!(host.app().wharf(&["profile", "guest", "--seconds", "0"]).await.code, Some(2));
    });
}
