//! The resources behind streams, called as the host calls them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use super::flow::{Chat, Rows, Upload};
use super::{Items, Streaming, next};
use crate::testing::block_on;
use crate::time;

#[test]
fn rows_come_as_they_are_asked_for_and_end() {
    block_on(async {
        let made = Rc::new(Cell::new(0));
        let counter = made.clone();
        let rows = Rows::new(Items::new(async move |items| {
            for n in 1..=3 {
                counter.set(n);
                items.send(n).await;
            }
            Ok::<_, String>(())
        }));
        assert_eq!(made.get(), 0);
        assert_eq!(rows.next().await, Ok(Some(1)));
        assert!(made.get() <= 2, "one ahead, at most");
        assert_eq!(rows.next().await, Ok(Some(2)));
        assert_eq!(rows.next().await, Ok(Some(3)));
        assert_eq!(rows.next().await, Ok(None));
        assert_eq!(rows.next().await, Ok(None));
    });
}

#[test]
fn rows_end_with_their_error() {
    block_on(async {
        let rows = Rows::new(Items::new(async |items| {
            items.send(1).await;
            Err("torn")
        }));
        assert_eq!(rows.next().await, Ok(Some(1)));
        assert_eq!(rows.next().await, Err("torn"));
        assert_eq!(rows.next().await, Ok(None));
    });
}

#[test]
fn an_upload_is_taken_while_it_comes_and_gives_a_value() {
    block_on(async {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = seen.clone();
        let upload = Upload::new(async move |mut items: Streaming<u32>| {
            let mut sum = 0;
            while let Some(item) = items.next().await {
                // Whoever takes items may wait for other things than the next one.
                time::sleep(Duration::from_secs(1)).await;
                log.borrow_mut().push(item);
                sum += item;
            }
            Ok::<_, String>(sum)
        });
        for n in 1..=4 {
            upload.push(n).await.unwrap();
            assert!(seen.borrow().len() + 2 >= n as usize, "one is taken, and one waits");
        }
        assert_eq!(upload.finish().await, Ok(10));
        assert_eq!(*seen.borrow(), [1, 2, 3, 4]);
    });
}

#[test]
fn an_upload_that_fails_says_so_when_more_is_pushed() {
    block_on(async {
        let upload = Upload::new(async |mut items: Streaming<u32>| match items.next().await {
            Some(0) => Err("zero"),
            _ => Ok(()),
        });
        let mut pushed = Ok(());
        for _ in 0..3 {
            pushed = pushed.and(upload.push(0).await);
        }
        assert_eq!(pushed, Err("zero"));

        let short = Upload::new(async |_: Streaming<u32>| Err::<(), _>("never mind"));
        assert_eq!(short.finish().await, Err("never mind"));
    });
}

#[test]
fn what_an_upload_does_not_take_is_dropped() {
    block_on(async {
        let upload = Upload::new(async |mut items: Streaming<u32>| Ok::<_, String>(items.next().await));
        for n in 7..10 {
            upload.push(n).await.unwrap();
        }
        assert_eq!(upload.finish().await, Ok(Some(7)));
    });
}

/// Says that it was dropped.
struct Dropped(Rc<Cell<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn an_upload_that_is_given_up_is_not_mistaken_for_a_whole_one() {
    block_on(async {
        let dropped = Rc::new(Cell::new(false));
        let ended = Rc::new(Cell::new(false));
        let (guard, end) = (Dropped(dropped.clone()), ended.clone());
        let upload = Upload::new(async move |mut items: Streaming<u32>| {
            let _guard = guard;
            while items.next().await.is_some() {}
            end.set(true);
            Ok::<_, String>(())
        });
        upload.push(1).await.unwrap();
        time::sleep(Duration::from_secs(1)).await;
        drop(upload);
        time::sleep(Duration::from_secs(1)).await;
        assert!(dropped.get() && !ended.get());
    });
}

#[test]
fn a_conversation_goes_both_ways_at_once() {
    block_on(async {
        let chat = Chat::new(async |mut lines: Streaming<String>| {
            Ok(Items::new(async move |replies| {
                replies.send("who is there?".to_owned()).await;
                while let Some(line) = lines.next().await {
                    if line.is_empty() {
                        return Err("nobody");
                    }
                    replies.send(format!("hello, {line}")).await;
                }
                replies.send("goodbye".to_owned()).await;
                Ok(())
            }))
        });
        assert_eq!(chat.next().await.unwrap().as_deref(), Some("who is there?"));
        // A reply that is waited for before there is anything to reply to.
        let mut reply = pin!(chat.next());
        assert!(reply.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        chat.push("Ann".to_owned()).await.unwrap();
        assert_eq!(reply.await.unwrap().as_deref(), Some("hello, Ann"));
        chat.finish().await.unwrap();
        assert_eq!(chat.next().await.unwrap().as_deref(), Some("goodbye"));
        assert_eq!(chat.next().await, Ok(None));
    });
}

#[test]
fn a_conversation_ends_with_its_error() {
    block_on(async {
        let refused = Chat::new(async |_: Streaming<u32>| Err::<Items<u32, _>, _>("no"));
        assert_eq!(refused.next().await, Err("no"));
        assert_eq!(refused.next().await, Ok(None));
        refused.push(1).await.unwrap();
        refused.finish().await.unwrap();

        let cut = Chat::new(async |mut items: Streaming<u32>| {
            Ok(Items::new(async move |replies| {
                let first = items.next().await.unwrap_or_default();
                replies.send(first).await;
                Err("cut")
            }))
        });
        cut.push(5).await.unwrap();
        assert_eq!(cut.next().await, Ok(Some(5)));
        assert_eq!(cut.next().await, Err("cut"));
    });
}

#[test]
fn a_closure_that_cannot_fail_is_a_stream() {
    block_on(async {
        let mut numbers = Streaming::from_fn(async |numbers| {
            for n in 0..3 {
                numbers.send(n).await;
            }
        });
        assert_eq!(next(&mut numbers).await, Some(0));
        assert_eq!(numbers.next().await, Some(1));
        assert_eq!(numbers.next().await, Some(2));
        assert_eq!(numbers.next().await, None);
    });
}
