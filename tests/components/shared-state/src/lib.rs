//! What `state-handler`, `state-wasip3` and `state-wstd` do, one thing for each path. README.md lists them.
//!
//! The bindings are made from the same contracts as the host's, so a guest of any world has the same imports.

mod grants;
mod keys;
mod lines;

wit_bindgen::generate!({
    path: [
        "../../../wit/deps/wasi-config",
        "../../../wit/deps/wasi-keyvalue",
        "../../../wit/deps/wasi-logging",
    ],
    inline: "
        package test:state;
        world state {
            import wasi:config/store@0.2.0-rc.1;
            import wasi:keyvalue/store@0.2.0-draft2;
            import wasi:keyvalue/atomics@0.2.0-draft2;
            import wasi:keyvalue/batch@0.2.0-draft2;
            import wasi:logging/logging@0.1.0-draft;
        }
    ",
    world: "test:state/state",
    generate_all,
});

/// A request as every world has it.
pub struct Request<'a> {
    pub method: &'a str,
    /// The path and the query.
    pub target: &'a str,
    pub body: Vec<u8>,
}

/// What to answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer { status, body: body.into() }
    }
}

/// Does what the request says.
pub fn answer(request: Request<'_>) -> Answer {
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
    let (what, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let query = Query(query);
    match what {
        "hello" => Answer::new(200, "hello\n"),
        "env" => grants::env(),
        "config" => grants::config(key),
        "say" | "print" | "write-forever" => lines::answer(what, key, query, &request.body),
        _ => match keys::answer(request.method, what, key, query, request.body) {
            Ok(answer) => answer,
            Err(error) => keys::refusal(error),
        },
    }
}

/// `name=value&name=value`, without any escapes.
#[derive(Clone, Copy)]
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        self.0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|pair| pair.0 == name)
            .map(|pair| pair.1)
    }

    fn number(self, name: &str, default: i64) -> i64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }
}
