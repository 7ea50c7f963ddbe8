//! A service with every kind of stream, and every way for a call to end. Its comments are in the WIT that it carries.

wit_bindgen::generate!({ path: "wit" });

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use exports::test::streams::api::{self, Failure, Guest, Row};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

/// What the host reads of this component beside its types.
#[unsafe(link_section = "wharf:wit")]
#[used]
static WIT: [u8; include_bytes!("../wit/streams.wit").len()] = *include_bytes!("../wit/streams.wit");

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

fn count_call() -> u32 {
    CALLS.set(CALLS.get() + 1);
    CALLS.get()
}

struct Streams;

export!(Streams);

impl Guest for Streams {
    type Rows = Rows;
    type Upload = Upload;
    type Chat = Chat;

    fn add(a: u32, b: u32) -> u32 {
        count_call();
        a.wrapping_add(b)
    }

    async fn greet(name: String) -> Result<String, Failure> {
        count_call();
        match name.as_str() {
            "" => Err(Failure::Invalid("a name has a letter".into())),
            "nobody" => Err(Failure::NotFound),
            "root" => Err(Failure::Taken("root is taken".into())),
            name => Ok(format!("hello {name}")),
        }
    }

    fn ping() {
        count_call();
    }

    fn either(ok: bool) -> Result<(), ()> {
        if ok { Ok(()) } else { Err(()) }
    }

    fn trap() {
        panic!("told to trap");
    }

    fn spin() {
        loop {
            std::hint::spin_loop();
        }
    }

    fn sleep(ms: u32) {
        std::thread::sleep(Duration::from_millis(ms.into()));
    }

    async fn never() {
        forever().await;
    }

    fn calls() -> u32 {
        count_call()
    }

    fn dropped() -> u32 {
        DROPPED.get()
    }

    fn length(data: Vec<u8>) -> u32 {
        data.len() as u32
    }

    fn make(length: u32) -> Vec<u8> {
        vec![7; length as usize]
    }

    fn table(rows: u32) -> Vec<Row> {
        (0..rows).map(row).collect()
    }

    async fn count(to: u32) -> StreamReader<u32> {
        count_call();
        let (mut writer, reader) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            for number in 0..to {
                if writer.write_one(number).await.is_some() {
                    return;
                }
            }
        });
        reader
    }

    async fn words(text: String) -> Result<StreamReader<String>, Failure> {
        if text.is_empty() {
            return Err(Failure::Invalid("no text".into()));
        }
        let (mut writer, reader) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            writer.write_all(text.split(' ').map(str::to_owned).collect()).await;
        });
        Ok(reader)
    }

    async fn download(length: u32) -> StreamReader<u8> {
        let (mut writer, reader) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            writer.write_all((0..length).map(|n| (n % 251) as u8).collect()).await;
        });
        reader
    }

    async fn count_and_trap() -> StreamReader<u32> {
        let (mut writer, reader) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            writer.write_one(0).await;
            panic!("told to trap");
        });
        reader
    }

    fn list_rows(count: u32, fail_at: Option<u32>, trap_at: Option<u32>) -> Result<api::Rows, Failure> {
        count_call();
        if count == 0 {
            return Err(Failure::NotFound);
        }
        Ok(api::Rows::new(Rows { count, fail_at, trap_at, stuck: false, at: Cell::new(0) }))
    }

    fn stuck() -> api::Rows {
        api::Rows::new(Rows { count: 1, fail_at: None, trap_at: None, stuck: true, at: Cell::new(0) })
    }

    async fn sum(mut numbers: StreamReader<u32>) -> u64 {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += u64::from(number);
        }
        sum
    }

    async fn checksum(mut data: StreamReader<u8>) -> u64 {
        let mut sum = 0_u64;
        loop {
            let (result, bytes) = data.read(Vec::with_capacity(4096)).await;
            for byte in bytes {
                sum = sum.wrapping_mul(31).wrapping_add(byte.into());
            }
            if !matches!(result, StreamResult::Complete(_)) {
                return sum;
            }
        }
    }

    fn start_upload() -> api::Upload {
        count_call();
        api::Upload::new(Upload::default())
    }

    async fn double(mut numbers: StreamReader<u32>) -> StreamReader<u64> {
        let (mut writer, reader) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            while let Some(number) = numbers.next().await {
                if writer.write_one(u64::from(number) * 2).await.is_some() {
                    return;
                }
            }
        });
        reader
    }

    fn start_chat(name: String) -> Result<api::Chat, Failure> {
        if name.is_empty() {
            return Err(Failure::Invalid("a name has a letter".into()));
        }
        Ok(api::Chat::new(Chat::new(name)))
    }
}

/// Waits for what nobody writes.
async fn forever() {
    let (_writer, mut reader) = wit_stream::new::<u8>();
    reader.next().await;
}

fn row(id: u32) -> Row {
    Row { id, name: format!("row {id}") }
}

struct Rows {
    count: u32,
    fail_at: Option<u32>,
    trap_at: Option<u32>,
    stuck: bool,
    at: Cell<u32>,
}

impl api::GuestRows for Rows {
    async fn next(&self) -> Result<Option<Row>, Failure> {
        let at = self.at.replace(self.at.get() + 1);
        if self.fail_at == Some(at) {
            return Err(Failure::Invalid(format!("row {at}")));
        }
        if self.trap_at == Some(at) {
            panic!("told to trap");
        }
        if at == self.count && self.stuck {
            forever().await;
        }
        Ok((at < self.count).then(|| row(at)))
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

#[derive(Default)]
struct Upload {
    rows: RefCell<Vec<Row>>,
}

impl api::GuestUpload for Upload {
    async fn push(&self, item: Row) -> Result<(), Failure> {
        if item.name == "bad" {
            return Err(Failure::Invalid(format!("row {} is bad", item.id)));
        }
        self.rows.borrow_mut().push(item);
        Ok(())
    }

    async fn finish(&self) -> Result<u32, Failure> {
        match self.rows.borrow().len() {
            0 => Err(Failure::NotFound),
            count => Ok(count as u32),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

/// Says every line back, when it is asked to. A byte in a stream of its own is a line that is there: what one task waits for
/// must be something that the host sees, if another one is to wake it.
struct Chat {
    name: String,
    lines: RefCell<VecDeque<String>>,
    there: RefCell<Option<StreamReader<u8>>>,
    tell: RefCell<Option<StreamWriter<u8>>>,
}

impl Chat {
    fn new(name: String) -> Self {
        let (writer, reader) = wit_stream::new();
        Chat {
            name,
            lines: RefCell::default(),
            there: RefCell::new(Some(reader)),
            tell: RefCell::new(Some(writer)),
        }
    }
}

impl api::GuestChat for Chat {
    async fn push(&self, line: String) -> Result<(), Failure> {
        if line == "bad" {
            return Err(Failure::Invalid("mind your words".into()));
        }
        self.lines.borrow_mut().push_back(line);
        let mut tell = self.tell.take().ok_or(Failure::NotFound)?;
        tell.write_one(0).await;
        self.tell.replace(Some(tell));
        Ok(())
    }

    async fn finish(&self) -> Result<(), Failure> {
        self.tell.take();
        Ok(())
    }

    async fn next(&self) -> Result<Option<String>, Failure> {
        let mut there = self.there.take().ok_or(Failure::NotFound)?;
        if there.next().await.is_none() {
            return Ok(None);
        }
        self.there.replace(Some(there));
        let line = self.lines.borrow_mut().pop_front();
        Ok(line.map(|line| format!("{}: {line}", self.name)))
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}
