//! Greets, in each way that a function of a service can be called.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use wharf::service::{Items, Stream, Streaming, call};
use wharf::{Bytes, Lifecycle, Result, time};

wharf::wit!();

use callers::{Header, Known};
use greetings::{Person, Refusal, Summary, Tone};

struct Greeter {
    greeted: RefCell<Vec<String>>,
    count: Cell<u32>,
    at_start: String,
}

impl Lifecycle for Greeter {
    async fn start() -> Result<Self> {
        let (called, sent) = (call::context().is_some(), call::metadata().iter().count());
        let at_start = format!("{called} {sent} {}", outcome("x-start", b"1"));
        Ok(Greeter { greeted: RefCell::default(), count: Cell::new(0), at_start })
    }
}

impl Greeter {
    fn say(&self, name: &str, tone: Tone) -> Result<String, Refusal> {
        match name {
            "" => Err(Refusal::Nameless),
            "nobody" => Err(Refusal::NotFound),
            name => {
                self.count.set(self.count.get() + 1);
                Ok(match tone {
                    Tone::Plain => format!("Hello, {name}!"),
                    Tone::Loud => format!("HELLO, {}!", name.to_uppercase()),
                })
            }
        }
    }
}

#[wharf::service]
impl greetings::Service for Greeter {
    async fn greet(&self, person: Person, tone: Tone) -> Result<String, Refusal> {
        if self.greeted.borrow().contains(&person.name) {
            return Err(Refusal::AlreadyGreeted(person.name));
        }
        let greeting = self.say(&person.name, tone)?;
        self.greeted.borrow_mut().push(person.name);
        Ok(vec![greeting; person.times.unwrap_or(1) as usize].join(" "))
    }

    fn hello(&self) -> String {
        "Hello!".to_owned()
    }

    async fn many(
        &self,
        a: String,
        b: String,
        c: String,
        d: String,
        e: String,
        f: String,
        g: String,
        h: String,
        i: String,
    ) -> Vec<String> {
        vec![a, b, c, d, e, f, g, h, i]
    }

    async fn wait(&self, ms: u32) {
        time::sleep(Duration::from_millis(ms.into())).await;
    }

    async fn greet_all(
        &self,
        names: Vec<String>,
        times: u32,
    ) -> Result<impl Stream<Item = Result<String, Refusal>>, Refusal> {
        if names.is_empty() {
            return Err(Refusal::Nameless);
        }
        let mut greetings = Vec::new();
        for _ in 0..times {
            greetings.extend(names.iter().map(|name| self.say(name, Tone::Plain)));
        }
        Ok(Items::new(async move |items| {
            for greeting in greetings {
                items.send(greeting?).await;
            }
            Ok(())
        }))
    }

    async fn welcome(&self, tone: Tone, mut people: Streaming<Person>) -> Result<Summary, Refusal> {
        let mut names = Vec::new();
        while let Some(person) = people.next().await {
            // Work may wait for other things than the next item.
            time::sleep(Duration::from_millis(1)).await;
            self.say(&person.name, tone)?;
            names.push(person.name);
        }
        Ok(Summary { people: names.len() as u32, names })
    }

    async fn talk(
        &self,
        mut lines: Streaming<String>,
    ) -> Result<impl Stream<Item = Result<String, Refusal>>, Refusal> {
        let mut first = true;
        Ok(Items::new(async move |items| {
            while let Some(line) = lines.next().await {
                match line.as_str() {
                    "" => return Err(Refusal::Nameless),
                    "and again" if !first => items.send("Hello again!".to_owned()).await,
                    _ => items.send(format!("Hello, {line}!")).await,
                }
                first = false;
            }
            items.send("Goodbye!".to_owned()).await;
            Ok(())
        }))
    }

    async fn count_down(&self, from: u32) -> impl Stream<Item = u32> {
        Streaming::of((0..from).rev())
    }

    async fn spell(&self, name: String, at_once: u32) -> Result<impl Stream<Item = Bytes>, Refusal> {
        let greeting = self.say(&name, Tone::Plain)?.into_bytes();
        let pieces: Vec<_> = greeting.chunks(at_once.max(1) as usize).map(Bytes::copy_from_slice).collect();
        Ok(Streaming::of(pieces))
    }

    async fn sum(&self, mut numbers: Streaming<u32>) -> u64 {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += u64::from(number);
        }
        sum
    }

    async fn shout(&self, mut text: Streaming<Bytes>) -> impl Stream<Item = Bytes> {
        Streaming::from_fn(async move |pieces| {
            while let Some(piece) = text.next().await {
                pieces.send(piece.to_ascii_uppercase().into()).await;
            }
        })
    }

    async fn number(&self, mut lines: Streaming<String>) -> Result<impl Stream<Item = String>, Refusal> {
        Ok(Streaming::from_fn(async move |numbered| {
            let mut number = 0;
            while let Some(line) = lines.next().await {
                number += 1;
                numbered.send(format!("{number}: {line}")).await;
            }
        }))
    }

    fn count(&self, fail: bool) -> u32 {
        assert!(!fail, "asked to fail");
        self.count.get()
    }
}

#[wharf::service]
impl admin::Service for Greeter {
    async fn forget(&self) -> u32 {
        self.greeted.take().len() as u32
    }

    async fn usual_tone(&self) -> admin::Tone {
        Tone::Plain
    }
}

/// Sets a field, and says what became of that.
fn outcome(name: &str, value: &[u8]) -> String {
    match call::set_metadata(name, value) {
        Ok(()) => String::new(),
        Err(refused) => format!("{refused:?}"),
    }
}

#[wharf::service]
impl callers::Service for Greeter {
    async fn who(&self) -> Known {
        let context = call::context().expect("a call goes on");
        let metadata = call::metadata();
        let headers = metadata.iter();
        Known {
            request_id: context.request_id().to_owned(),
            route: context.route().to_owned(),
            deadline_ms: context.deadline().as_millis() as u32,
            headers: headers.map(|(name, value)| Header { name: name.into(), value: value.into() }).collect(),
        }
    }

    async fn answer(&self, headers: Vec<Header>) -> Vec<String> {
        headers.iter().map(|header| outcome(&header.name, &header.value)).collect()
    }

    async fn refuse(&self, header: Header) -> Result<String, Refusal> {
        outcome(&header.name, &header.value);
        Err(Refusal::NotFound)
    }

    async fn fail(&self, header: Header) -> Result<(), ()> {
        outcome(&header.name, &header.value);
        Err(())
    }

    async fn crash(&self, header: Header) {
        outcome(&header.name, &header.value);
        panic!("asked to crash");
    }

    async fn answer_late(
        &self,
        header: Header,
    ) -> Result<impl Stream<Item = Result<String, Refusal>>, Refusal> {
        outcome(&header.name, &header.value);
        Ok(Items::new(async move |items| {
            for _ in 0..2 {
                items.send(outcome(&header.name, &header.value)).await;
            }
            Ok(())
        }))
    }

    async fn answer_each(&self, mut headers: Streaming<Header>) -> Result<String, Refusal> {
        let mut last = String::new();
        while let Some(header) = headers.next().await {
            last = outcome(&header.name, &header.value);
        }
        Ok(last)
    }

    fn at_start(&self) -> String {
        self.at_start.clone()
    }
}
