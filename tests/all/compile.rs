//! Compiling happens in a process of its own, and what a component does to the compiler stays in there.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use wharf_harness::{Answer, Host, Load, TempDir, components, eventually, process, run, run_alone, within};

use crate::{WHARF, everything, host};

/// A component like `version-two` that is a lot of work for a compiler.
///
/// Behind everything else comes a core module that nobody instantiates: `functions` functions of `steps` steps
/// each. A step takes two of a thousand locals, and puts their product or their sum into a third; now and then
/// it is the end or the begin of a block. No allocator of registers likes that, and the work grows faster than
/// the function.
fn heavy(functions: u32, steps: u32) -> Vec<u8> {
    const LOCALS: u32 = 1_000;
    const I32: u8 = 0x7f;
    let mut body = Vec::new();
    // One group of locals.
    body.push(1);
    leb(&mut body, LOCALS);
    body.push(I32);
    // xorshift32 (Marsaglia, 2003): the same code in every run.
    let mut random = 2_463_534_242_u32;
    let mut local = || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random % LOCALS
    };
    for step in 0..steps {
        let (from, and, to) = (local(), local(), local());
        body.push(0x20);
        leb(&mut body, from);
        body.push(0x20);
        leb(&mut body, and);
        body.push(if step % 3 == 0 { 0x6c } else { 0x6a });
        body.push(0x21);
        leb(&mut body, to);
        if step % 16 == 0 {
            // block, br_if 0 on a local, end
            body.extend([0x02, 0x40, 0x20]);
            leb(&mut body, from);
            body.extend([0x0d, 0x00]);
            body.push(0x20);
            leb(&mut body, and);
            body.push(0x21);
            leb(&mut body, from);
            body.push(0x0b);
        }
    }
    body.extend([0x20, 0x00, 0x0b]);
    let mut types = Vec::new();
    // One type: nothing to a number.
    types.extend([1, 0x60, 0, 1, I32]);
    let mut signatures = Vec::new();
    leb(&mut signatures, functions);
    signatures.extend(vec![0; functions as usize]);
    let mut code = Vec::new();
    leb(&mut code, functions);
    for _ in 0..functions {
        leb(&mut code, body.len() as u32);
        code.extend_from_slice(&body);
    }
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in [(1, &types), (3, &signatures), (10, &code)] {
        section(&mut module, id, content);
    }
    let mut component = fs::read(components::VERSION_TWO).unwrap();
    // A core module is a section of a component with the id 1.
    section(&mut component, 1, &module);
    component
}

fn section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    leb(out, content.len() as u32);
    out.extend_from_slice(content);
}

/// An unsigned number as WebAssembly has it.
fn leb(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// More work than any test has time for.
fn endless() -> Vec<u8> {
    heavy(64, 60_000)
}

async fn start(engine: &str, cache: &TempDir) -> Host {
    host(&everything("{{version-one}}")).engine(engine).cache(cache.path()).start().await
}

/// The process that compiles, as soon as there is one.
async fn compiler(host: &Host) -> u32 {
    eventually("a process that compiles", async || process::children(host.pid()).first().copied()).await
}

/// Nothing is left of what has been compiled or was to be, and what served goes on.
async fn nothing_is_left(host: &Host) {
    assert_eq!(process::children(host.pid()), Vec::<u32>::new());
    let files = process::open_paths(host.pid());
    assert!(!files.iter().any(|path| path.contains("wharf-code")), "{files:?}");
    assert_eq!(host.get("/").await.expect(200).header("x-version"), Some("one"));
    assert_eq!(host.admin().plugin("guest").await["serving"]["generation"], 1);
}

fn refused(answer: Answer) -> String {
    let problem = answer.expect(422).json();
    assert_eq!(problem["stage"], "compile", "{problem}");
    problem["detail"].as_str().unwrap().to_owned()
}

async fn outcomes(host: &Host) -> [f64; 3] {
    let metrics = host.admin().metrics().await;
    ["compiled", "cached", "refused"]
        .map(|outcome| metrics.sum("wharf_compile_total", &[&format!("outcome=\"{outcome}\"")]))
}

#[test]
fn a_component_that_takes_too_long_is_refused_while_requests_are_served() {
    run_alone(Duration::from_secs(150), async {
        let cache = TempDir::new();
        drop(start("", &cache).await);
        let host = start("compile_time = \"2s\"", &cache).await;
        assert_eq!(outcomes(&host).await, [0.0, 1.0, 0.0]);
        let load = Load::start(host.http(), "/", 50, 2);
        load.more(10).await;
        let message = refused(host.admin().put("guest", endless()).await);
        assert!(message.contains("[engine] compile_time = \"2s\" allows"), "{message}");
        assert!(message.ends_with("\n  [engine]\n  compile_time = \"4s\""), "{message}");
        load.more(10).await;
        let report = load.stop().await;
        // Two seconds at fifty a second, all of them while the compiler had every processor.
        assert!(report.sent >= 50, "{report:?}");
        report.expect_no_failures();
        nothing_is_left(&host).await;
        assert_eq!(outcomes(&host).await, [0.0, 1.0, 1.0]);
    });
}

#[test]
fn a_component_that_takes_too_much_memory_is_refused() {
    run(async {
        let cache = TempDir::new();
        drop(start("", &cache).await);
        let host = start("compile_memory = \"64MiB\"", &cache).await;
        let message = refused(host.admin().put("guest", heavy(2, 200_000)).await);
        assert!(message.contains("[engine] compile_memory = \"64MiB\" allows"), "{message}");
        assert!(message.ends_with("\n  [engine]\n  compile_memory = \"128MiB\""), "{message}");
        nothing_is_left(&host).await;
        assert_eq!(outcomes(&host).await, [0.0, 1.0, 1.0]);
    });
}

#[test]
fn a_host_without_memory_to_spare_does_not_compile() {
    run(async {
        let cache = TempDir::new();
        drop(start("", &cache).await);
        let manifest = everything("{{version-one}}") + "\n[memory]\ntotal = \"48MiB\"\n";
        let host = host(&manifest).cache(cache.path()).start().await;
        let message = refused(host.admin().put("guest", heavy(2, 200_000)).await);
        assert!(message.contains("no memory to spare for compiling it ([memory] total)"), "{message}");
        nothing_is_left(&host).await;
    });
}

#[test]
fn a_compiler_that_is_killed_is_a_refusal_and_the_host_goes_on() {
    run(async {
        let cache = TempDir::new();
        let host = start("compile_time = \"1h\"", &cache).await;
        for (signal, name) in [(process::Signal::KILL, "SIGKILL"), (process::Signal::ABORT, "SIGABRT")] {
            let admin = host.admin();
            let load = tokio::spawn(async move { admin.put("guest", endless()).await });
            process::signal(compiler(&host).await, signal);
            let message = refused(load.await.unwrap());
            assert!(message.contains(&format!("was ended by {name}")), "{message}");
            nothing_is_left(&host).await;
        }
        // The next one has a compiler of its own.
        host.admin().put_file("guest", components::VERSION_TWO).await.expect(200);
        assert_eq!(host.get("/").await.expect(200).header("x-version"), Some("two"));
        assert_eq!(outcomes(&host).await, [2.0, 0.0, 2.0]);
    });
}

#[test]
fn what_was_compiled_works_and_is_kept() {
    run(async {
        let cache = TempDir::new();
        // A second or so of work.
        let component = heavy(1, 4_000);
        for expected in [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]] {
            let host = start("", &cache).await;
            host.admin().put("guest", component.clone()).await.expect(200);
            assert_eq!(host.get("/").await.expect(200).header("x-version"), Some("two"));
            assert_eq!(outcomes(&host).await, expected);
            assert_eq!(process::children(host.pid()), Vec::<u32>::new());
        }
    });
}

#[test]
fn the_compiler_has_its_job_and_nothing_else() {
    run(async {
        let cache = TempDir::new();
        let engine = "compile_time = \"1m\"\ncompile_memory = \"3GiB\"";
        let host = host(&everything("{{version-one}}"))
            .engine(engine)
            .cache(cache.path())
            .env("SECRET", "of the host")
            .start()
            .await;
        let admin = host.admin();
        let load = tokio::spawn(async move { admin.put("guest", endless()).await });
        let pid = compiler(&host).await;
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        // Its name is the last thing that it takes care of before it reads the component.
        eventually("the compiler to be confined", async || {
            (read("comm").trim() == "wharf-compile").then_some(())
        })
        .await;
        let environment = read("environ");
        let names: Vec<_> =
            environment.split_terminator('\0').filter_map(|line| line.split('=').next()).collect();
        assert_eq!(names, ["MIMALLOC_ARENA_EAGER_COMMIT", "MIMALLOC_ARENA_RESERVE", "RAYON_NUM_THREADS"]);
        let limits = read("limits");
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().take(2).map(|number| number.parse().unwrap()).collect::<Vec<u64>>()
        };
        assert_eq!(limit("Max data size"), [3 << 30; 2]);
        assert_eq!(limit("Max address space"), [7 << 30; 2]);
        assert_eq!(limit("Max file size"), [3 << 30; 2]);
        assert_eq!(limit("Max core file size"), [0; 2]);
        assert_eq!(limit("Max open files"), [16; 2]);
        assert!(limit("Max cpu time")[0] >= 60 && limit("Max cpu time")[1] < 10_000, "{limits}");
        // Fields 5 and 19 of stat(5): its process group is its own, and it gives way to others.
        let stat = read("stat");
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        assert_eq!((fields[2], fields[16]), (pid.to_string().as_str(), "5"));
        // Nor does it keep what the host has inherited. The file that its name goes to may be open for a moment.
        let open = eventually("the compiler to have three files", async || {
            Some(process::open_paths(pid)).filter(|open| open.len() == 3)
        })
        .await;
        assert!(open.iter().any(|path| path.contains("memfd:wharf-code")), "{open:?}");
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
        process::signal(pid, process::Signal::KILL);
        refused(load.await.unwrap());
    });
}

#[test]
fn the_compiler_ends_with_the_host_however_that_ends() {
    run(async {
        for crash in [true, false] {
            let cache = TempDir::new();
            let host = start("compile_time = \"1h\"", &cache).await;
            let admin = host.admin();
            let load = tokio::spawn(async move { admin.put("guest", endless()).await });
            let pid = compiler(&host).await;
            let app = if crash { host.kill().await } else { host.stop().await };
            eventually("the compiler to be gone", async || (!process::runs(pid)).then_some(())).await;
            load.abort();
            drop(app);
        }
    });
}

#[test]
fn a_start_that_is_stopped_leaves_no_compiler_behind() {
    run(async {
        let cache = TempDir::new();
        let app = host(&everything("heavy.wasm"))
            .engine("compile_time = \"1h\"")
            .cache(cache.path())
            .file("heavy.wasm", endless())
            .write();
        let mut starting = tokio::process::Command::new(WHARF)
            .args(["up", app.path().to_str().unwrap()])
            .kill_on_drop(true)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let host = starting.id().unwrap();
        let pid =
            eventually("a process that compiles", async || process::children(host).first().copied()).await;
        process::signal(host, process::Signal::TERM);
        within(Duration::from_secs(20), "the host to end", starting.wait()).await.unwrap();
        eventually("the compiler to be gone", async || (!process::runs(pid)).then_some(())).await;
    });
}

#[test]
fn a_start_with_a_component_that_takes_too_long_says_so() {
    run(async {
        let cache = TempDir::new();
        let app = host(&everything("heavy.wasm"))
            .engine("compile_time = \"1s\"")
            .cache(cache.path())
            .file("heavy.wasm", endless())
            .write();
        let ended = app.wharf(&["up"]).await;
        assert!(ended.code == Some(1), "{ended:?}");
        assert!(ended.stderr.contains("plugin \"guest\": compile: compiling it takes longer"), "{ended:?}");
        // Neither looks at what it would take to compile it.
        assert!(app.wharf(&["check"]).await.code == Some(0));
        assert!(app.wharf(&["inspect", "heavy.wasm"]).await.code == Some(0));
    });
}

#[test]
fn nobody_else_can_start_the_compiler() {
    run(async {
        let app = host("").write();
        let ended = app.wharf(&["compile-worker"]).await;
        assert!(ended.code != Some(0) && ended.stderr.contains("only a host can start this"), "{ended:?}");
        let help = app.wharf(&["--help"]).await;
        assert!(!help.stdout.contains("compile"), "{help:?}");
    });
}
