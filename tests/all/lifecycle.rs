//! The hooks around the life of an instance, and how long it lives.

use wharf_harness::{Host, components, run};

use crate::{everything, host};

/// Where the hooks have written their lines.
fn stopped(host: &Host, mark: usize) -> usize {
    host.log().since(mark).iter().filter(|line| line.contains("\"stopping\"")).count()
}

#[test]
fn start_runs_once_for_each_instance() {
    run(async {
        let pool = "\n[plugin.guest.pool]\nmax = 2\nreuse = 3\n";
        let host = host(&(everything("{{lifecycle-counter}}") + pool)).start().await;
        for _ in 0..10 {
            assert_eq!(host.get("/started").await.expect(200).text(), "1\n");
        }
    });
}

#[test]
fn an_instance_serves_as_often_as_its_pool_says() {
    run(async {
        let pool = "\n[plugin.guest.pool]\nmax = 1\nreuse = 3\n";
        let host = host(&(everything("{{kitchen}}") + pool)).start().await;
        let mut counts = Vec::new();
        for _ in 0..7 {
            counts.push(host.get("/count").await.expect(200).text().trim().to_owned());
        }
        assert_eq!(counts, ["1", "2", "3", "1", "2", "3", "1"]);
    });
}

#[test]
fn stop_runs_before_an_instance_is_dropped() {
    run(async {
        let pool = "\n[plugin.guest.pool]\nmax = 1\nreuse = 2\n";
        let host = host(&(everything("{{lifecycle-counter}}") + pool)).start().await;

        // The instance has served as often as it may.
        host.get("/started").await.expect(200);
        assert_eq!(stopped(&host, 0), 0);
        host.get("/started").await.expect(200);
        host.log().wait("\"stopping\"").await;

        // Its generation was replaced.
        host.get("/started").await.expect(200);
        let mark = host.log().mark();
        host.admin().put_file("guest", components::LIFECYCLE_COUNTER).await.expect(200);
        host.log().wait_from(mark, "the hook", |line| line.contains("\"stopping\"")).await;

        // The host shuts down.
        host.get("/started").await.expect(200);
        let mark = host.log().mark();
        host.sigterm();
        assert_eq!(host.wait_exit(std::time::Duration::from_secs(15)).await, Some(0));
        host.log().wait_from(mark, "the hook", |line| line.contains("\"stopping\"")).await;
    });
}

#[test]
fn a_host_does_not_start_with_a_plugin_that_is_not_well() {
    run(async {
        for (component, stage, public, private) in [
            ("{{version-three-unhealthy}}", "health", "the database is on fire", "flames up to row 7"),
            ("{{version-four-start-fails}}", "start", "no fuel in the tank", "the gauge reads 0"),
            ("{{version-five-start-traps}}", "start", "the start hook panics", "the start hook panics"),
        ] {
            let started = host(&everything(component)).write().wharf(&["up", ".", "--log", "json"]).await;
            assert_eq!(started.code, Some(1), "{started:?}");
            for text in ["guest", stage, public, private] {
                assert!(started.stderr.contains(text), "{text:?} is missing in:\n{}", started.stderr);
            }
            assert!(!started.stdout.contains("listening"), "{started:?}");
        }
    });
}
