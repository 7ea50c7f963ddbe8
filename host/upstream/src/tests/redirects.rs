use http::header::AUTHORIZATION;
use http::{Request, Response};
use wharf_call::{Body, Egress, EgressCode, EgressOptions};

use super::setting::{Names, Server, code, egress, egress_to, get, read};

fn follow(hops: u8) -> EgressOptions {
    EgressOptions { follow: hops, ..EgressOptions::default() }
}

/// `/N` redirects to `/N-1`, and `/0` is the end.
async fn countdown() -> Server {
    Server::http(|request| async move {
        match request.uri().path()[1..].parse::<u32>().unwrap() {
            0 => super::setting::echo(request).await,
            n => {
                let location = (n - 1).to_string();
                Response::builder().status(307).header("location", location).body(Body::Empty).unwrap()
            }
        }
    })
    .await
}

#[tokio::test]
async fn redirects_are_the_plugins_business_unless_it_asks() {
    let server = countdown().await;
    let egress = egress_to(&server);
    for (hops, status) in [(0, 307), (1, 307), (2, 200), (9, 200)] {
        let answer = egress.send(get(server.origin() + "/2"), follow(hops)).await.unwrap();
        assert_eq!(answer.status(), status, "{hops}");
        read(answer).await;
    }
    assert_eq!(server.accepted(), 1, "all hops share a connection");
}

#[tokio::test]
async fn a_whole_body_is_sent_again_and_a_stream_is_not() {
    let server = countdown().await;
    let egress = egress_to(&server);
    let post = |body| Request::post(server.origin() + "/1").body(body).unwrap();
    let answer = egress.send(post(Body::whole("again")), follow(1)).await.unwrap();
    assert!(read(answer).await.ends_with(" again"));
    let stream = Body::stream(Body::whole("once"));
    assert_eq!(code(&egress, post(stream), follow(1)).await, Ok(307));
}

#[tokio::test]
async fn a_redirect_to_another_origin_needs_its_grant_and_takes_no_secrets_along() {
    let target = Server::echo().await;
    let location = target.origin() + "/landed";
    let door = Server::http(move |_| {
        let location = location.clone();
        async move { Response::builder().status(302).header("location", location).body(Body::Empty).unwrap() }
    })
    .await;
    let request = || Request::get(door.origin()).header(AUTHORIZATION, "secret").body(Body::Empty).unwrap();
    let one = egress_to(&door);
    assert_eq!(code(&one, request(), follow(1)).await, Err(EgressCode::HttpRequestDenied));
    assert_eq!(target.accepted(), 0);
    let both = egress(&[door.origin(), target.origin()], Names::new(&[]));
    let answer = both.send(request(), follow(1)).await.unwrap();
    assert_eq!(answer.headers()["x-fields"], "host");
    assert!(read(answer).await.contains("/landed"));
}
