//! The examples run with the one command that their README gives.

use std::path::Path;

use wharf_harness::{Host, run_alone};

use crate::{ROOT, WHARF};

#[test]
fn hello_answers_as_its_readme_says() {
    // The first run builds the example's plugin.
    run_alone(std::time::Duration::from_secs(600), async {
        let dir = Path::new(ROOT).join("examples/hello");
        let readme = std::fs::read_to_string(dir.join("README.md")).unwrap();
        let ports = ["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let args: Vec<&str> = ["up", dir.to_str().unwrap()].into_iter().chain(ports).collect();
        let host = Host::spawn(WHARF, &args).await;
        let exchanges = exchanges(&readme);
        assert!(!exchanges.is_empty(), "the README shows no `curl` and its answer");
        for (path, expected) in exchanges {
            assert_eq!(host.get(&path).await.expect(200).text().trim_end(), expected, "{path}");
        }
        host.sigterm();
        assert_eq!(host.wait_exit(std::time::Duration::from_secs(15)).await, Some(0));
    });
}

/// Each `$ curl http://HOST/PATH` of a page and the line after it, which is the answer where there is one.
fn exchanges(page: &str) -> Vec<(String, String)> {
    let mut lines = page.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(url) = line.strip_prefix("$ curl http://") else { continue };
        let path = url.find('/').map_or("/", |slash| &url[slash..]);
        let answer = lines.next().unwrap_or_default();
        if answer != "```" {
            found.push((path.to_owned(), answer.to_owned()));
        }
    }
    found
}
