//! Animals of the zoo that are easier to write in Rust, one for each path; those of the life of an instance are
//! chosen by the environment variable `BEAST`.
//!
//! It implements the bindings directly, as `rogue` does. What each path is after, and what must come of it, is in
//! `tests/components/zoo`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use shared::clock;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll;
use wasip2::random::random::get_random_bytes;
use wharf::bindings::exports::wharf::plugin::{handler, lifecycle};
use wharf::bindings::wharf::plugin::types::{Body, Context, Failure, Request, Response};

/// By the runtime whose task this is: that of `wasip3` would never run it.
fn spawn(work: impl Future<Output = ()> + 'static) {
    wharf::background(work);
}

struct Beast;

wharf::bindings::export_handler_plugin!(Beast with_types_in wharf::bindings);

impl lifecycle::Guest for Beast {
    async fn start() -> Result<(), Failure> {
        hook("start").await;
        Ok(())
    }

    async fn health() -> Result<(), Failure> {
        hook("health").await;
        if std::env::var("BEAST").is_ok_and(|beast| beast == "health-fails") {
            let words = "x".repeat(2 << 20);
            return Err(Failure { kind: words.clone(), message: words.clone(), details: Some(words) });
        }
        Ok(())
    }

    async fn stop() {
        hook("stop").await;
    }
}

async fn hook(name: &str) {
    let beast = std::env::var("BEAST").unwrap_or_default();
    match beast.strip_prefix(name) {
        Some("-spins") => spin(),
        Some("-waits") => clock::wait_forever().await,
        Some("-hoards") => hoard(),
        Some("-traps") => core::arch::wasm32::unreachable(),
        _ => {}
    }
}

impl handler::Guest for Beast {
    async fn handle(request: Request, _context: Context) -> Result<Response, Failure> {
        match request.path_with_query.as_str() {
            "/hello" => {}
            "/wait" => clock::wait(Duration::from_millis(300)).await,
            "/gigabytes-of-randomness" => drop(black_box(get_random_bytes(4 << 30))),
            "/randomness" => loop {
                black_box(get_random_bytes(1 << 20));
            },
            "/lines" => (0..3_000).for_each(|n| println!("line {n} of a flood")),
            "/line-without-end" => {
                use std::io::Write;
                let mut out = std::io::stdout().lock();
                (0..256).for_each(|_| out.write_all(&[b'x'; 64 << 10]).unwrap());
            }
            "/lines-for-ever" => loop {
                eprintln!("a flood");
            },
            "/poll-without-waiting" => {
                let now = subscribe_duration(0);
                loop {
                    poll::poll(&[&now]);
                }
            }
            "/poll-nothing" => drop(poll::poll(&[])),
            "/pollables" => {
                let mut held = Vec::new();
                loop {
                    held.push(subscribe_duration(1 << 40));
                }
            }
            "/poll-many" => {
                let held: Vec<_> = (0..5_000).map(|_| subscribe_duration(0)).collect();
                let held: Vec<_> = held.iter().collect();
                loop {
                    poll::poll(&held);
                }
            }
            "/block" => subscribe_duration(1 << 60).block(),
            "/sleep" => std::thread::sleep(Duration::from_secs(1 << 30)),
            "/clock" => loop {
                black_box(Instant::now());
            },
            "/subtasks" => {
                let waits: Vec<_> = (0..100_000).map(|_| Box::pin(clock::wait_forever())).collect();
                all(waits).await;
            }
            "/tasks" => (0..200_000).for_each(|_| spawn(clock::wait_forever())),
            "/task-left-behind" => spawn(clock::wait_forever()),
            "/task-that-spins" => spawn(async {
                clock::wait(Duration::from_millis(1)).await;
                spin();
            }),
            "/task-that-traps" => spawn(async {
                clock::wait(Duration::from_millis(1)).await;
                core::arch::wasm32::unreachable();
            }),
            "/exit" => std::process::exit(0),
            "/exit-with-an-error" => std::process::exit(1),
            "/abort" => std::process::abort(),
            other => panic!("what is {other}?"),
        }
        Ok(Response { status: 200, headers: vec![], body: Body::Whole(b"good\n".to_vec()) })
    }
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Every page is written, so that it is really there.
fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Waits for all of them at once.
async fn all<F: Future<Output = ()> + Unpin>(mut waits: Vec<F>) {
    std::future::poll_fn(|cx| {
        waits.retain_mut(|wait| std::pin::Pin::new(wait).poll(cx).is_pending());
        if waits.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
