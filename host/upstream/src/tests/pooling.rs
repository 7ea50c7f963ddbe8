use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::sync::{Semaphore, mpsc};
use wharf_call::limits::RefuseAll;
use wharf_call::{Body, Egress, EgressCode, EgressLimits, EgressOptions, Memory, MemoryUse, Reservation};

use super::setting::{
    Names, SOON, Server, answer, code, egress_to, fetch, get, grants, limited, read, read_head, text,
};
use crate::{Config, Upstream};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn calls_after_one_another_share_a_connection() {
    let server = Server::echo().await;
    let egress = egress_to(&server);
    for _ in 0..10 {
        assert_eq!(fetch(&egress, server.origin()).await.unwrap().0, 200);
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn many_calls_take_turns_on_few_connections() {
    let server = Server::echo().await;
    let limits = EgressLimits { connections_max: 4, ..EgressLimits::default() };
    let egress = Arc::new(limited(&[server.origin()], Names::new(&[]), limits));
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (egress, uri) = (egress.clone(), server.origin());
            tokio::spawn(async move { fetch(&egress, uri).await.map(|(status, _)| status) })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(200));
    }
    assert!(server.accepted() <= 4, "{} connections", server.accepted());
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_another_origin() {
    let (one, two) = (Server::echo().await, Server::echo().await);
    let limits = EgressLimits { connections_max: 1, ..EgressLimits::default() };
    let egress = limited(&[one.origin(), two.origin()], Names::new(&[]), limits);
    for server in [&one, &two, &one] {
        assert_eq!(fetch(&egress, server.origin()).await.unwrap().0, 200);
    }
    let held = egress.send(get(one.origin()), EgressOptions::default()).await.unwrap();
    let hurry = EgressOptions { connect_timeout: SOON, ..EgressOptions::default() };
    assert_eq!(code(&egress, get(two.origin()), hurry).await, Err(EgressCode::ConnectionLimitReached));
    read(held).await;
    assert_eq!(fetch(&egress, two.origin()).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_call_holds_its_slot_until_its_response_is_read() {
    let server = Server::echo().await;
    let limits = EgressLimits { calls_max: 1, ..EgressLimits::default() };
    let egress = limited(&[server.origin()], Names::new(&[]), limits);
    let held = egress.send(get(server.origin()), EgressOptions::default()).await.unwrap();
    let refused = code(&egress, get(server.origin()), EgressOptions::default()).await;
    assert_eq!(refused, Err(EgressCode::ConnectionLimitReached));
    drop(held);
    assert_eq!(fetch(&egress, server.origin()).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced() {
    let server = Server::raw(|_, mut stream| async move {
        answer(&mut stream, OK).await;
    })
    .await;
    let egress = egress_to(&server);
    for round in 0..5 {
        let answer = fetch(&egress, server.origin()).await;
        assert_eq!(answer, Ok((200, "ok".to_owned())), "round {round}");
    }
    assert_eq!(server.accepted(), 5);
}

#[tokio::test]
async fn what_the_peer_may_have_taken_is_repeated_only_where_that_is_harmless() {
    for (method, expected) in [("GET", Ok(200)), ("POST", Err(EgressCode::ConnectionTerminated))] {
        // The first connection answers once, takes another request, and closes without a word.
        let server = Server::raw(|number, mut stream| async move {
            while answer(&mut stream, OK).await {
                if number == 0 {
                    read_head(&mut stream).await;
                    return;
                }
            }
        })
        .await;
        let egress = egress_to(&server);
        assert_eq!(fetch(&egress, server.origin()).await.unwrap().0, 200);
        let request = http::Request::builder().method(method).uri(server.origin()).body(Body::Empty).unwrap();
        assert_eq!(code(&egress, request, EgressOptions::default()).await, expected, "{method}");
    }
}

#[tokio::test]
async fn without_memory_in_the_host_there_is_no_connection() {
    struct Full;
    impl Memory for Full {
        fn reserve(&self, _: MemoryUse, _: u64) -> Option<Reservation> {
            None
        }
    }
    let server = Server::echo().await;
    let upstream = Upstream::new(Config::default(), Arc::new(Full));
    let egress = upstream
        .plugin("notes", grants(&[server.origin()]), EgressLimits::default(), RefuseAll::shared())
        .unwrap();
    let refused = code(&egress, get(server.origin()), EgressOptions::default()).await;
    assert_eq!(refused, Err(EgressCode::ConnectionLimitReached));
    assert_eq!(server.accepted(), 0);
}

/// A server that answers, and tells when the client has closed each connection.
async fn watched() -> (Server, mpsc::UnboundedReceiver<usize>) {
    let (tell, told) = mpsc::unbounded_channel();
    let server = Server::raw(move |number, mut stream| {
        let tell = tell.clone();
        async move {
            while answer(&mut stream, OK).await {}
            let _ = tell.send(number);
        }
    })
    .await;
    (server, told)
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_after_its_time() {
    let (server, mut closed) = watched().await;
    let limits = EgressLimits { idle_timeout: SOON, ..EgressLimits::default() };
    let egress = limited(&[server.origin()], Names::new(&[]), limits);
    for number in 0..2 {
        fetch(&egress, server.origin()).await.unwrap();
        assert_eq!(closed.recv().await, Some(number));
    }
}

#[tokio::test]
async fn the_end_of_a_generation_closes_its_connections() {
    let (server, mut closed) = watched().await;
    let egress = egress_to(&server);
    fetch(&egress, server.origin()).await.unwrap();
    drop(egress);
    assert_eq!(closed.recv().await, Some(0));
}

#[tokio::test]
async fn dropping_a_call_or_its_response_closes_the_connection() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::raw(move |number, mut stream| {
        let tell = tell.clone();
        async move {
            read_head(&mut stream).await;
            let _ = tell.send("asked");
            if number == 1 {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nsome";
                tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
            }
            let _ = stream.read(&mut [0]).await;
            let _ = tell.send("closed");
        }
    })
    .await;
    let egress = egress_to(&server);
    {
        let call = egress.send(get(server.origin()), EgressOptions::default());
        tokio::select! {
            _ = call => panic!("there is no answer"),
            told = told.recv() => assert_eq!(told, Some("asked")),
        }
    }
    assert_eq!(told.recv().await, Some("closed"));
    let response = egress.send(get(server.origin()), EgressOptions::default()).await.unwrap();
    assert_eq!(told.recv().await, Some("asked"));
    drop(response);
    assert_eq!(told.recv().await, Some("closed"));
}

#[tokio::test]
async fn a_plugin_that_uses_up_its_calls_does_not_touch_its_neighbour() {
    let gate = Arc::new(Semaphore::new(0));
    let waits = gate.clone();
    let server = Server::http(move |request| {
        let waits = waits.clone();
        async move {
            if request.uri().path() == "/slow" {
                waits.acquire().await.unwrap().forget();
            }
            text(200, "ok")
        }
    })
    .await;
    let limits = EgressLimits { calls_max: 8, ..EgressLimits::default() };
    let busy = Arc::new(limited(&[server.origin()], Names::new(&[]), limits));
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (busy, uri) = (busy.clone(), server.origin() + "/slow");
            tokio::spawn(async move { code(&busy, get(uri), EgressOptions::default()).await })
        })
        .collect();
    let neighbour = egress_to(&server);
    assert_eq!(fetch(&neighbour, server.origin() + "/fast").await.unwrap().0, 200);
    gate.add_permits(8);
    let mut served = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => served += 1,
            Err(code) => assert_eq!(code, EgressCode::ConnectionLimitReached),
        }
    }
    assert_eq!(served, 8);
}
