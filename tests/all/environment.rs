//! Environment variables and configuration: what the manifest gives is all there is, in every world.

use wharf_harness::{HostBuilder, components, run};

use crate::{everything, host};

/// Guests that do the same in our own world, as wasi:http 0.3 and as wasi:http 0.2.
const WORLDS: [&str; 3] = ["{{state-handler}}", "{{state-wasip3}}", "{{state-wstd}}"];

/// What they cannot be loaded without.
const NEEDED: &str = "\n[plugin.guest.grants]\nkeyvalue = [\"notes\"]\n";

fn start(component: &str, more: &str) -> HostBuilder {
    host(&(everything(component) + NEEDED + more)).env("SECRET", "of the host")
}

#[test]
fn a_plugin_sees_the_variables_that_it_is_granted_and_none_of_the_hosts() {
    run(async {
        for component in WORLDS {
            let granted = "env = { LANG = \"C\", MODE = \"a b\" }\n[plugin.guest.config]\n";
            let host = start(component, granted).start().await;
            assert_eq!(host.get("/env").await.expect(200).text(), "LANG=C\nMODE=a b\n", "{component}");
        }
    });
}

#[test]
fn a_plugin_without_granted_variables_sees_none() {
    run(async {
        for component in WORLDS {
            let host = start(component, "\n[plugin.guest.config]\n").start().await;
            assert_eq!(host.get("/env").await.expect(200).text(), "", "{component}");
        }
    });
}

#[test]
fn a_plugin_reads_the_configuration_that_it_is_given_and_nothing_else() {
    run(async {
        for component in WORLDS {
            let host = start(component, "\n[plugin.guest.config]\ntitle = \"My notes\"\n").start().await;
            assert_eq!(host.get("/config/title").await.expect(200).text(), "My notes", "{component}");
            host.get("/config/other").await.expect(404);
        }
    });
}

#[test]
fn a_component_that_reads_configuration_is_refused_without_any() {
    run(async {
        for component in WORLDS {
            let app = start(component, "").write();
            for found in [app.wharf(&["check", "."]).await, app.wharf(&["up", "."]).await] {
                assert_eq!(found.code, Some(1), "{component}: {found:?}");
                for part in ["guest", "wasi:config/store", "[plugin.guest]", "config = {"] {
                    assert!(found.stderr.contains(part), "{part:?} is missing for {component}: {found:?}");
                }
                assert!(!found.stderr.contains("wasi:keyvalue"), "that was granted: {found:?}");
            }
        }
    });
}

#[test]
fn a_reload_brings_new_values() {
    run(async {
        let with = |title: &str| {
            everything("{{state-wasip3}}")
                + NEEDED
                + &format!("env = {{ MODE = {title:?} }}\n[plugin.guest.config]\ntitle = {title:?}\n")
        };
        let host = host(&with("one")).start().await;
        assert_eq!(host.get("/config/title").await.expect(200).text(), "one");
        host.app().set_manifest(&with("two"));
        host.admin().wait("guest", "generation 2", |status| status["serving"]["generation"] == 2).await;
        assert_eq!(host.get("/config/title").await.expect(200).text(), "two");
        assert_eq!(host.get("/env").await.expect(200).text(), "MODE=two\n");
        // A load through the admin API keeps the grants of the manifest.
        host.admin().put_file("guest", components::STATE_WSTD).await.expect(200);
        assert_eq!(host.get("/config/title").await.expect(200).text(), "two");
    });
}
