//! Clients that mean harm, or might as well: each costs itself its connection, and its neighbours nothing.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use wharf_harness::{
    Host, Load, Protocol, Raw, Stopped, empty, eventually, process, request, run, run_alone,
};

use crate::{everything, host};

/// What every attack is made beside: a well-behaved client that must not notice.
async fn beside(host: &Host, attack: impl Future<Output = ()>) {
    let load = Load::start(host.http(), "/hello", 200, 4);
    load.more(20).await;
    attack.await;
    load.more(20).await;
    load.stop().await.expect_no_failures();
}

#[test]
fn heads_that_drip_in_byte_by_byte_are_cut_when_their_time_is_up() {
    run(async {
        let host = host(&("[http]\nheader_timeout = \"300ms\"\n".to_owned() + &everything("{{kitchen}}")))
            .start()
            .await;
        beside(&host, async {
            let mut slow = JoinSet::new();
            for _ in 0..200 {
                let mut raw = Raw::connect(host.http()).await;
                slow.spawn(async move {
                    raw.send("GET /hello HTTP/1.1\r\nHost: a\r\nx-slow: ").await;
                    // Each byte is progress; the head's own deadline counts all the same.
                    let mut drip = tokio::time::interval(Duration::from_millis(20));
                    loop {
                        tokio::select! {
                            _ = drip.tick() => raw.send("x").await,
                            stopped = raw.read_until(|_| false) => return (stopped, raw.text()),
                        }
                    }
                });
            }
            while let Some(ended) = slow.join_next().await {
                let (stopped, text) = ended.unwrap();
                assert_eq!((stopped, text.as_str()), (Err(Stopped::Closed), ""));
            }
        })
        .await;
        eventually("the connections to be gone", async || {
            let open = host.admin().metrics().await.sum("wharf_http_connections", &[]);
            (open <= 4.0).then_some(())
        })
        .await;
    });
}

#[test]
fn a_host_out_of_file_descriptors_goes_on_and_accepts_again_when_there_are_some() {
    run_alone(Duration::from_secs(120), async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let mut before = host.connect(Protocol::Http1).await;
        before.answer(request("GET", "/hello", empty())).await.expect(200);
        process::limit_open_files(host.pid(), process::open_files(host.pid()) as u64 + 8);

        let mut crowd = Vec::new();
        for _ in 0..64 {
            crowd.push(Raw::connect(host.http()).await);
        }
        let complaint = |line: &Value| line["message"] == "a connection could not be accepted";
        host.log().wait_json(0, "the complaint", complaint).await;
        let mark = host.log().mark();

        // Whoever is in is served as ever.
        for _ in 0..200 {
            before.answer(request("GET", "/hello", empty())).await.expect(200);
        }
        // Whoever waits outside costs a line a second, and some 20 attempts rather than as many as there is time for.
        let next = host.log().wait_json(mark, "the next complaint", complaint).await;
        let attempts = next["more"].as_u64().unwrap();
        assert!((1..200).contains(&attempts), "{next}");

        drop(crowd);
        let answer = host.get("/hello").await.expect(200);
        assert_eq!(answer.text(), "hello\n");
        host.admin().get("/healthz").await.expect(200);
    });
}

/// What HTTP/2 frames are made of (RFC 9113, sections 4.1 and 6).
mod h2 {
    pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const CONTINUATION: u8 = 9;
    pub(super) const END_STREAM: u8 = 1;
    pub(super) const END_HEADERS: u8 = 4;
    pub(super) const ENHANCE_YOUR_CALM: u32 = 11;
    /// `GET /`, `http`, authority `a`: three indexed fields and a literal (RFC 7541, appendix A).
    pub(super) const GET: &[u8] = b"\x82\x86\x84\x41\x01a";

    pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    /// The error code of the GOAWAY that `received` holds, if there is one.
    pub(super) fn goodbye(mut received: &[u8]) -> Option<u32> {
        while let Some((head, rest)) = received.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (payload, rest) = rest.split_at_checked(length)?;
            if head[3] == GOAWAY {
                return Some(u32::from_be_bytes(payload.get(4..8)?.try_into().ok()?));
            }
            received = rest;
        }
        None
    }
}

/// Sends `flood` on one HTTP/2 connection; returns how the host ended it.
async fn flood(host: &Host, flood: Vec<u8>) -> (Result<(), Stopped>, Option<u32>) {
    let mut raw = Raw::connect(host.http()).await;
    raw.send(h2::PREFACE).await;
    // In pieces, reading in between: what the host says last must not be lost in a reset.
    for piece in flood.chunks(16 << 10) {
        raw.send(piece).await;
        let received = raw.received().len();
        tokio::select! {
            biased;
            _ = raw.read_until(|now| now.len() > received && h2::goodbye(now).is_some()) => break,
            () = tokio::task::yield_now() => {}
        }
    }
    let stopped = raw.read_until(|_| false).await;
    (stopped, h2::goodbye(raw.received()))
}

#[test]
fn a_flood_of_streams_that_are_reset_at_once_ends_its_connection() {
    run_alone(Duration::from_secs(120), async {
        let host = host(&everything("{{kitchen}}")).start().await;
        beside(&host, async {
            // CVE-2023-44487.
            let resets = (0..50_000u32).flat_map(|n| {
                let id = 2 * n + 1;
                let mut frames = h2::frame(h2::HEADERS, h2::END_STREAM | h2::END_HEADERS, id, h2::GET);
                frames.extend(h2::frame(h2::RST_STREAM, 0, id, &8u32.to_be_bytes()));
                frames
            });
            let ended = flood(&host, resets.collect()).await;
            assert_eq!(ended, (Err(Stopped::Closed), Some(h2::ENHANCE_YOUR_CALM)));
        })
        .await;
    });
}

#[test]
fn a_head_without_end_in_continuation_frames_ends_its_connection() {
    run_alone(Duration::from_secs(120), async {
        let host = host(&everything("{{kitchen}}")).start().await;
        beside(&host, async {
            // CVE-2024-27316. Each frame adds a field of 4 KiB.
            let mut frames = h2::frame(h2::HEADERS, h2::END_STREAM, 1, h2::GET);
            let mut field = b"\0\x01x\x7f\x81\x1f".to_vec(); // a literal of 127 + 3969 bytes
            field.extend([b'y'; 4096]);
            for _ in 0..2_000 {
                frames.extend(h2::frame(h2::CONTINUATION, 0, 1, &field));
            }
            let rss = process::rss_bytes(host.pid());
            let (stopped, said) = flood(&host, frames).await;
            assert_eq!(stopped, Err(Stopped::Closed));
            assert!(said.is_some_and(|code| code != 0), "{said:?}");
            let more = process::rss_bytes_max(host.pid()).saturating_sub(rss);
            assert!(more < 16 << 20, "{more} bytes more");
        })
        .await;
    });
}

#[test]
fn floods_of_small_frames_whose_answers_nobody_reads_cost_no_memory() {
    run_alone(Duration::from_secs(120), async {
        let host = host(&everything("{{kitchen}}")).start().await;
        let ping = h2::frame(h2::PING, 0, 0, &[7; 8]);
        let settings = h2::frame(h2::SETTINGS, 0, 0, &[]);
        let empty_data = h2::frame(h2::DATA, 0, 1, &[]);
        for (what, frame, count) in
            [("ping", ping, 200_000), ("settings", settings, 200_000), ("empty data", empty_data, 200_000)]
        {
            let rss = process::rss_bytes(host.pid());
            beside(&host, async {
                let mut raw = Raw::connect(host.http()).await;
                raw.send(h2::PREFACE).await;
                let post = b"\x83\x86\x84\x41\x01a"; // POST: its body may follow
                raw.send(h2::frame(h2::HEADERS, h2::END_HEADERS, 1, post)).await;
                let flood = frame.repeat(count);
                // The host stops reading when its answers are not read: then the rest is never sent.
                let _ = tokio::time::timeout(Duration::from_secs(2), raw.send(&flood)).await;
            })
            .await;
            let more = process::rss_bytes(host.pid()).saturating_sub(rss);
            assert!(more < 16 << 20, "{what}: {more} bytes more");
        }
    });
}
