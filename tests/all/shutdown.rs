//! SIGTERM and Ctrl-C: what is under way is finished, nothing new begins, the exit code is 0.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use wharf_harness::{Answer, Client, Host, Protocol, empty, eventually, request, run, upload};

use crate::{everything, host};

/// Longer than any of these tests may wait for an exit, unless the test is about the deadline itself.
const PATIENT: &str = "[http]\ndrain_timeout = \"60s\"\n";

const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_request_under_way_is_finished_and_the_exit_code_is_0() {
    run(async {
        for protocol in Protocol::ALL {
            for stop in [Host::sigterm, Host::sigint] {
                let host = host(&(PATIENT.to_owned() + &everything("{{kitchen}}"))).start().await;
                let mut client = host.connect(protocol).await;
                let (upload, body) = upload();
                let answer = tokio::spawn(async move {
                    let answer = client.answer(request("POST", "/upload", body)).await;
                    client.closed().await;
                    answer
                });
                // More than is handed over whole: the guest is called before the body is complete.
                upload.send(vec![b'a'; 100_000]).await;
                in_flight(&host).await;

                stop(&host);
                refused(&host).await;
                upload.send(vec![b'b'; 100_000]).await;
                drop(upload);

                let answer = answer.await.unwrap().expect(200);
                assert!(answer.text().contains("200000"), "{answer:?}");
                assert_eq!(host.wait_exit(SOON).await, Some(0));
            }
        }
    });
}

#[test]
fn an_answer_that_is_being_read_is_finished() {
    run(async {
        let host = host(&(PATIENT.to_owned() + &everything("{{kitchen}}"))).start().await;
        let mut client = host.connect(Protocol::Http1).await;
        let response =
            client.send(request("GET", "/download?bytes=20000000&chunk=65536", empty())).await.unwrap();
        host.sigterm();
        refused(&host).await;
        let answer = Answer::read(response).await.expect(200);
        assert_eq!(answer.body.len(), 20_000_000);
        assert_eq!(host.wait_exit(SOON).await, Some(0));
    });
}

#[test]
fn an_idle_connection_is_closed_without_waiting_for_the_deadline() {
    run(async {
        for protocol in Protocol::ALL {
            let host = host(&(PATIENT.to_owned() + &everything("{{kitchen}}"))).start().await;
            let mut client = host.connect(protocol).await;
            client.answer(request("GET", "/hello", empty())).await.expect(200);
            host.sigterm();
            client.closed().await;
            assert_eq!(host.wait_exit(SOON).await, Some(0));
        }
    });
}

#[test]
fn a_request_that_outlives_the_deadline_is_cut() {
    run(async {
        let manifest = "[http]\ndrain_timeout = \"300ms\"\n".to_owned() + &everything("{{kitchen}}");
        for protocol in Protocol::ALL {
            let host = host(&manifest).start().await;
            let mut client = host.connect(protocol).await;
            let response = client.send(request("GET", "/sse?forever", empty())).await.unwrap();
            let asked = Instant::now();
            host.sigterm();
            let answer = Answer::read(response).await;
            assert!(answer.cut.is_some(), "{protocol:?}: an endless stream ended as if it were complete");
            assert_eq!(host.wait_exit(SOON).await, Some(0));
            assert!(asked.elapsed() >= Duration::from_millis(300), "cut before the deadline");
        }
    });
}

/// Waits until a call is running.
async fn in_flight(host: &Host) {
    host.admin().wait("guest", "a call is running", |status| status["serving"]["in_flight"] == 1).await;
}

/// Waits until new connections are refused.
async fn refused(host: &Host) {
    let addr = host.http();
    eventually("new connections to be refused", async || TcpStream::connect(addr).await.err()).await;
    assert!(Client::try_connect(addr, Protocol::Http1).await.is_err());
}
