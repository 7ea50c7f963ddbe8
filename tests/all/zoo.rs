//! The zoo: components that mean harm, each in a file of `tests/components/zoo`, against the real binary.
//!
//! Whatever an animal does must end as its file says, in bounded time; right after it, others are served, and so
//! is the animal itself where it can answer at all. In the end the host has not panicked, has not used more
//! memory than it was given, and stops in good order. All of it holds on one core as well.

mod animal;
mod frame;
mod generated;
mod page;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;
use wharf_harness::{
    Answer, Client, Host, Load, Protocol, Report, body, chunked, empty, eventually, process, request, run,
    run_alone_on_one_thread, within,
};

use animal::{Animal, Asked, Outcome};

use crate::{ROOT, everything, host, is_release};

/// What a plugin of the zoo may use up unless its file says otherwise: it is reached soon, and what a good
/// request needs is far from it.
const LIMITS: &str = "memory = \"16MiB\"\ncpu = \"60ms\"\nwall = \"5s\"\nstream_idle = \"500ms\"\n\
     response_body = \"1MiB\"\n";

/// What the host may use up: a connection whose body is stuck is closed soon.
const HOST: &str = "[memory]\ntotal = \"768MiB\"\n[http]\nbody_progress_timeout = \"1s\"\n";

/// `[engine]` of the host: what it takes to compile a good plugin, and not much more.
const ENGINE: &str = "compile_memory = \"256MiB\"";

/// An attack has ended by then, load or request, on a busy machine.
const ATTACK: Duration = Duration::from_secs(20);

/// Right after an attack, a good request is answered within this: always, and half of the times. A debug build shares
/// its machine with compilers, which may keep it waiting for seconds.
fn good_within() -> [Duration; 2] {
    let [always, half] = if is_release() { [5, 2] } else { [5_000, 100] };
    [Duration::from_millis(always), Duration::from_millis(half)]
}

/// What the host may have resident, whatever the zoo does. It is less than `[memory] total`, of which a part is for
/// the processes that compile, and for what was promised to instances and is not used.
const CEILING_BYTES: u64 = 512 << 20;

/// No line of the log is longer, whatever a guest wants to have said in it.
const LOG_LINE_BYTES_MAX: usize = 64 << 10;

/// What a refusal may have to say.
const REFUSAL_BYTES_MAX: usize = 32 << 10;

/// Requests that are sent whole; larger ones go in chunks of an unknown number.
const WHOLE: usize = 64 << 10;

/// The plugin into which animals are put that must not be loaded.
const CAGE: &str = "cage";

fn folder() -> PathBuf {
    PathBuf::from(ROOT).join("tests/components/zoo")
}

#[test]
fn no_animal_of_the_zoo_hurts_anybody_but_itself() {
    run_alone_on_one_thread(Duration::from_secs(240), visit(animals(), false));
}

#[test]
fn no_animal_of_the_zoo_hurts_anybody_but_itself_on_one_core() {
    run_alone_on_one_thread(Duration::from_secs(240), visit(animals(), true));
}

#[test]
fn a_trap_ends_its_own_call_and_none_of_its_siblings() {
    run(async {
        let host = host(&everything("{{zoo-handler}}")).start().await;
        let mut siblings = JoinSet::new();
        for _ in 0..8 {
            let mut client = host.connect(Protocol::Http1).await;
            siblings.spawn(async move { client.answer(request("GET", "/wait", empty())).await.expect(200) });
        }
        host.admin().wait("guest", "all wait", |status| status["serving"]["in_flight"] == 8).await;
        let mut traps = 0;
        let first = loop {
            if let Some(answered) = siblings.try_join_next() {
                break answered;
            }
            host.get("/abort").await.expect_problem(500, "guest_trapped");
            traps += 1;
        };
        first.unwrap();
        assert!(traps > 0, "nothing trapped while they waited");
        while let Some(answered) = siblings.join_next().await {
            answered.unwrap();
        }
    });
}

/// The animals whose name holds what `WHARF_ZOO_ONLY` says.
fn animals() -> Vec<Animal> {
    let only = std::env::var("WHARF_ZOO_ONLY").unwrap_or_default();
    let animals = Animal::all(&folder()).into_iter();
    let built = |animal: &Animal| !animal.release_only || is_release();
    animals.filter(|animal| built(animal) && animal.name.contains(&only)).collect()
}

/// Lets out one animal after the other.
async fn visit(animals: Vec<Animal>, one_core: bool) {
    assert!(!animals.is_empty(), "no animal has that in its name");
    let host = cages(&animals, one_core).await;
    assert!(!one_core || process::cores(host.pid()) == 1);
    // What is to be refused is made before anybody is asked: the visit and its clients share a thread.
    let mut refused: Vec<_> =
        animals.iter().map(|animal| animal.is_refused().then(|| animal.component())).collect();
    let neighbour = Load::start(host.http(), "/", 50, 2);
    let good = host.connect(Protocol::Http1).await;
    let mut visit = Visit { host, good, wrong: Vec::new(), waits: Vec::new() };
    for (animal, refused) in animals.iter().zip(&mut refused) {
        let begun = Instant::now();
        match refused.take() {
            Some(component) => visit.load(animal, component).await,
            None => visit.attack(animal).await,
        }
        println!("{:>8} ms {}/{}", begun.elapsed().as_millis(), animal.group, animal.name);
    }
    let calm = visit.calm().await;
    visit.end(neighbour.stop().await, calm).await;
}

/// A host with a plugin for each animal that can be loaded, one into which the others are put, and a neighbour.
async fn cages(animals: &[Animal], one_core: bool) -> Host {
    let mut manifest = HOST.to_owned();
    let mut plugin = |name: &str, component: &str, host: &str| {
        manifest += &format!("[plugin.{name}]\ncomponent = \"{component}\"\n");
        for path in ["/", "/{*rest}"] {
            manifest += &format!("[[route]]\npath = \"{path}\"\nplugin = \"{name}\"\n{host}\n");
        }
    };
    plugin("neighbour", "{{version-one}}", "");
    plugin(CAGE, "{{version-two}}", &format!("host = \"{CAGE}.zoo\""));
    let with_plugin = || animals.iter().filter(|animal| animal.cage() != CAGE);
    for animal in with_plugin() {
        let file = format!("{}.wasm", animal.name);
        let component = if animal.is_refused() { "{{version-two}}" } else { &file };
        plugin(&animal.name, component, &format!("host = \"{}.zoo\"", animal.name));
    }
    for animal in with_plugin() {
        manifest += &animal.manifest;
        let name = &animal.name;
        let limits = format!("[plugin.{name}.limits]\n");
        if animal.manifest.contains(&limits) {
            manifest = manifest.replace(&limits, &format!("{limits}{}", missing(&animal.manifest)));
        } else {
            manifest += &format!("{limits}{LIMITS}");
        }
    }
    manifest += &format!("[plugin.{CAGE}.limits]\n{LIMITS}");
    let mut builder = host(&manifest).engine(ENGINE);
    for animal in animals.iter().filter(|animal| !animal.is_refused()) {
        builder = builder.file(&format!("{}.wasm", animal.name), animal.component());
    }
    if one_core { builder.one_core() } else { builder }.start().await
}

/// The lines of [`LIMITS`] whose keys `own` does not have.
fn missing(own: &str) -> String {
    let has = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| own.contains(&format!("{key} = ")));
    LIMITS.lines().filter(|line| !has(line)).map(|line| format!("{line}\n")).collect()
}

struct Visit {
    host: Host,
    /// A connection of somebody who means no harm.
    good: Client,
    wrong: Vec<String>,
    /// How long a good request took, right after each attack.
    waits: Vec<Duration>,
}

impl Visit {
    /// Looks at what the whole visit has left behind, stops the host, and says all that went wrong.
    async fn end(self, beside: Report, calm: Vec<Duration>) {
        let Visit { host, good, mut wrong, waits } = self;
        let (median, longest) = median_and_longest(waits);
        let (calm_median, calm_longest) = median_and_longest(calm);
        let resident = process::rss_bytes_max(host.pid());
        println!(
            "after each attack, a good request: median {median:?}, longest {longest:?}; after as many harmless ones: median \
             {calm_median:?}, longest {calm_longest:?}; beside them, {} requests: p99 {:?}, longest {:?}; resident at most {} \
             MiB",
            beside.sent,
            beside.percentile(99),
            beside.latency_max,
            resident >> 20,
        );
        if median > good_within()[1] {
            wrong.push(format!("half of the times, a neighbour waited {median:?} or longer"));
        }
        if !beside.failures.is_empty() || beside.answers.len() != 1 {
            wrong.push(format!("beside the attacks: {:?} {:?}", beside.failures, beside.answers));
        }
        if resident > CEILING_BYTES / 10 * 11 {
            wrong.push(format!("{resident} bytes were resident"));
        }
        for line in host.log().since(0) {
            let json: Value = serde_json::from_str(&line).unwrap_or_default();
            if json["target"] == "panic" {
                wrong.push(format!("a panic: {line}"));
            }
            if line.len() > LOG_LINE_BYTES_MAX {
                wrong.push(format!("a line of {} bytes in the log: {:.200}", line.len(), line));
            }
        }
        drop(good);
        eventually("the connections of all attacks to be gone", async || {
            (host.admin().metrics().await.sum("wharf_http_connections", &[]) == 0.0).then_some(())
        })
        .await;
        host.sigterm();
        let code = host.wait_exit(Duration::from_secs(30)).await;
        assert!(wrong.is_empty(), "{} things went wrong:\n{}", wrong.len(), wrong.join("\n"));
        assert_eq!(code, Some(0), "it stops in good order");
    }

    /// Puts an animal that must not be loaded into the cage, which goes on with what it has.
    async fn load(&mut self, animal: &Animal, component: Vec<u8>) {
        let answer = within(ATTACK, &animal.name, self.host.admin().put(animal.cage(), component)).await;
        self.good_request(animal).await;
        let said = answer.json();
        let matches = |outcome: &Outcome| match outcome {
            Outcome::Refused { stage, says } => {
                said["stage"] == **stage && said["detail"].as_str().is_some_and(|text| text.contains(says))
            }
            _ => false,
        };
        if answer.status != 422 || !animal.expect[0].iter().any(matches) {
            self.wrong.push(format!("{}: {} {said}", animal.name, answer.status));
        }
        if answer.body.len() > REFUSAL_BYTES_MAX {
            self.wrong.push(format!("{}: a refusal of {} bytes", animal.name, answer.body.len()));
        }
        let inmate = self.ask(animal.cage(), &get()).await;
        if inmate.map(|answer| answer.status) != Ok(200) {
            self.wrong.push(format!("{}: the plugin that it was to replace does not serve", animal.name));
        }
    }

    /// Provokes an animal, then asks its neighbour, and then itself.
    async fn attack(&mut self, animal: &Animal) {
        for expected in &animal.expect {
            let answered = within(ATTACK, &animal.name, self.ask(&animal.name, &animal.request)).await;
            self.good_request(animal).await;
            if !expected.iter().any(|outcome| is(&answered, outcome)) {
                self.wrong.push(format!("{}: {}", animal.name, shown(&answered)));
            }
        }
        if !animal.silent {
            let answered = within(ATTACK, &animal.name, self.ask(&animal.name, &get())).await;
            if !is(&answered, &Outcome::Answered { status: 200, kind: None }) {
                self.wrong.push(format!("{} afterwards: {}", animal.name, shown(&answered)));
            }
        }
    }

    async fn ask(&self, name: &str, asked: &Asked) -> Result<Answer, String> {
        let content = match asked.bytes {
            0 => empty(),
            bytes if bytes <= WHOLE => body(vec![b'x'; bytes]),
            bytes => chunked(vec![b'x'; WHOLE].into(), bytes / WHOLE),
        };
        let mut request = request(&asked.method, &asked.path, content);
        request.headers_mut().insert("host", format!("{name}.zoo").parse().unwrap());
        let mut client = self.host.connect(Protocol::Http1).await;
        client.try_answer(request).await.map_err(|error| error.to_string())
    }

    /// How long a good request takes after as many requests that mean no harm: the machine alone makes it wait sometimes.
    async fn calm(&mut self) -> Vec<Duration> {
        let mut waits = Vec::with_capacity(self.waits.len());
        for _ in 0..self.waits.len() {
            if let Err(error) = self.ask(CAGE, &get()).await {
                self.wrong.push(format!("a plugin that does no harm: {error}"));
            }
            waits.push(self.timed().await.1);
        }
        waits
    }

    /// How long the host lets a good request wait. That this client may be ready to read the answer and have no core, because
    /// it shares its machine with the host and the animal, is no part of it: it is on the one thread that the visit has.
    async fn timed(&mut self) -> (Answer, Duration) {
        let (waited, begun) = (process::waited_for_a_core(), Instant::now());
        let answer = self.good.answer(request("GET", "/", empty())).await;
        let wait = begun.elapsed().saturating_sub(process::waited_for_a_core() - waited);
        (answer, wait)
    }

    /// A request of somebody else, right after an attack.
    async fn good_request(&mut self, animal: &Animal) {
        let (answer, wait) = self.timed().await;
        self.waits.push(wait);
        if wait > good_within()[1] {
            println!("            {}: a neighbour was served after {wait:?}", animal.name);
        }
        if answer.status != 200 || answer.cut.is_some() {
            self.wrong.push(format!("{}: a neighbour was told {}", animal.name, answer.status));
        }
        if wait > good_within()[0] {
            self.wrong.push(format!("{}: a neighbour waited {wait:?}", animal.name));
        }
    }
}

fn median_and_longest(mut waits: Vec<Duration>) -> (Duration, Duration) {
    waits.sort_unstable();
    (waits[waits.len() / 2], waits[waits.len() - 1])
}

fn get() -> Asked {
    Asked { method: "GET".to_owned(), path: "/hello".to_owned(), bytes: 0 }
}

fn is(answered: &Result<Answer, String>, outcome: &Outcome) -> bool {
    match (answered, outcome) {
        (Ok(answer), Outcome::Answered { status, kind }) => {
            let told =
                || serde_json::from_slice::<Value>(&answer.body).ok()?["kind"].as_str().map(str::to_owned);
            answer.status == *status && answer.cut.is_none() && (kind.is_none() || told() == *kind)
        }
        (Ok(answer), Outcome::Cut) => answer.status == 200 && answer.cut.is_some(),
        // HTTP/1 may break before the head has been read, which is a cut as well.
        (Err(_), Outcome::Cut) => true,
        _ => false,
    }
}

fn shown(answered: &Result<Answer, String>) -> String {
    match answered {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned();
            format!("{} {text} (cut: {:?})", answer.status, answer.cut)
        }
        Err(error) => error.clone(),
    }
}
