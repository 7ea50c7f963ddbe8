//! Repeats what it hears, and does what some texts say: see `obey`.

use std::time::Duration;

use wharf::socket::{Message, Sender, Stream, Streaming};
use wharf::{Context, Failure, Request, Result, time};

#[wharf::socket]
async fn parrot(
    request: Request,
    context: Context,
    mut incoming: Streaming<Message>,
) -> Result<impl Stream<Item = Message>> {
    match request.uri().path() {
        "/refuse" => return Err(Failure::new("conflict", "the parrot sleeps").with_details("it is night")),
        "/slow" => time::sleep(Duration::from_secs(3_600)).await,
        "/fall" => panic!("it fell off"),
        _ => {}
    }
    let name = std::env::var("NAME").unwrap_or_else(|_| "nobody".to_owned());
    let at = context.param("rest").unwrap_or_default().to_owned();
    Ok(Streaming::from_fn(async move |client| {
        let mut heard = 0_u64;
        while let Some(message) = incoming.next().await {
            heard += 1;
            match &message {
                Message::Text(text) if text == "bye" => return,
                Message::Text(text) if text == "deaf" => {
                    drop(incoming);
                    client.send("what?".into()).await;
                    return time::sleep(Duration::from_secs(3_600)).await;
                }
                Message::Text(text) if text == "who" => {
                    client.send(format!("{name} at {at} has heard {heard}").into()).await;
                }
                Message::Text(text) => match obey(text, &client).await {
                    Some(()) => {}
                    None => client.send(message).await,
                },
                Message::Binary(_) => client.send(message).await,
            }
        }
        println!("it was left after {heard}");
    }))
}

/// Does what a text says; `None` when it says nothing.
async fn obey(text: &str, client: &Sender<Message>) -> Option<()> {
    let mut words = text.split(' ');
    let number = |words: &mut std::str::Split<'_, char>| words.next()?.parse::<usize>().ok();
    match words.next()? {
        "trap" => panic!("told to"),
        "spin" => loop {
            std::hint::spin_loop();
        },
        // COUNT messages of BYTES each, and how many there were.
        "flood" => {
            let (count, bytes) = (number(&mut words)?, number(&mut words)?);
            for n in 0..count {
                client.send(vec![n as u8; bytes].into()).await;
            }
            client.send(format!("{count} sent").into()).await;
        }
        // Listens to nothing for that many milliseconds.
        "nap" => {
            let ms = number(&mut words)?;
            time::sleep(Duration::from_millis(ms as u64)).await;
            client.send("awake".into()).await;
        }
        _ => return None,
    }
    Some(())
}
