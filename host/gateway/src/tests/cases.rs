use std::fs;
use std::path::Path;

use super::*;

fn config() -> Config {
    Config {
        header_count_max: 20,
        header_bytes_max: 4 << 10,
        target_bytes_max: 1 << 10,
        body_bytes_max: 64 << 10,
        ..Config::default()
    }
}

/// Replaces what differs from run to run: the value of `date`, and ids of 32 hex digits.
fn with_placeholders(response: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = response;
    while let Some(first) = rest.first() {
        let hex = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        if rest.starts_with(b"\r\ndate: ") {
            out.extend_from_slice(b"\r\ndate: <date>");
            let end = rest[2..].windows(2).position(|pair| pair == b"\r\n").unwrap_or(rest.len() - 2);
            rest = &rest[2 + end..];
        } else if hex == 32 {
            out.extend_from_slice(b"<id>");
            rest = &rest[32..];
        } else {
            let step = hex.max(1);
            out.extend_from_slice(if hex > 0 { &rest[..step] } else { std::slice::from_ref(first) });
            rest = &rest[step..];
        }
    }
    out
}

/// Each folder of `tests/cases/request` has what is sent and, byte for byte, what comes back. With `BLESS=1`
/// in the environment the answers are written instead of compared.
#[tokio::test]
async fn every_malformed_request_gets_its_exact_answer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/request");
    let host = start(
        config(),
        vec![
            route("GET,POST", "/echo", echo),
            route("GET", "/notes/{id}", echo),
            route("GET", "/files/{*rest}", echo),
        ],
    );
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(&root).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        cases += 1;
        let mut stream = host.connect().await;
        // The server may refuse before it has read everything.
        let _ = stream.write_all(&fs::read(folder.join("request")).unwrap()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
            .await
            .map_err(|_| wrong.push(format!("{}: the connection was left open", folder.display())));
        let answer = with_placeholders(&answer);
        if bless {
            fs::write(folder.join("response"), &answer).unwrap();
        } else if fs::read(folder.join("response")).unwrap() != answer {
            wrong.push(format!("{}:\n{}", folder.display(), String::from_utf8_lossy(&answer)));
        }
    }
    assert!(cases >= 30, "only {cases} cases in {}", root.display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
