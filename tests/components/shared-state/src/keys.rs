//! What can be done with the bucket `?bucket=NAME`, which is `notes` without.

use crate::wasi::keyvalue::atomics::{self, Cas, CasError};
use crate::wasi::keyvalue::batch;
use crate::wasi::keyvalue::store::{self, Bucket, Error};
use crate::{Answer, Query};

pub(crate) fn answer(
    method: &str,
    what: &str,
    key: &str,
    query: Query<'_>,
    body: Vec<u8>,
) -> Result<Answer, Error> {
    let bucket = store::open(query.text("bucket").unwrap_or("notes"))?;
    match (method, what) {
        ("GET", "key") => Ok(match bucket.get(key)? {
            Some(value) => Answer::new(200, value),
            None => Answer::new(404, ""),
        }),
        ("PUT", "key") => bucket.set(key, &body).map(|()| done()),
        ("DELETE", "key") => bucket.delete(key).map(|()| done()),
        ("GET", "exists") => Ok(Answer::new(200, bucket.exists(key)?.to_string())),
        ("GET", "keys") => all_keys(&bucket),
        ("POST", "increment") => {
            let sum = atomics::increment(&bucket, key, query.number("by", 1))?;
            Ok(Answer::new(200, sum.to_string()))
        }
        ("POST", "append") => append(&bucket, key, &body),
        ("POST", "conflict") => conflict(&bucket, key, &body),
        ("GET", "many") => many(&bucket, key),
        ("PUT", "many") => {
            let pairs = key.split(',').map(|key| (key.to_owned(), body.clone())).collect::<Vec<_>>();
            batch::set_many(&bucket, &pairs).map(|()| done())
        }
        ("DELETE", "many") => {
            let keys: Vec<String> = key.split(',').map(str::to_owned).collect();
            batch::delete_many(&bucket, &keys).map(|()| done())
        }
        ("PUT", "numbered") => numbered(&bucket, query, &body),
        ("POST", "fill") => Ok(fill(&bucket, &body)),
        ("POST", "fill-forever") => fill_forever(&bucket, &body),
        ("POST", "hoard") => Ok(hoard(&bucket, key)),
        _ => Ok(Answer::new(404, "there is no such path\n")),
    }
}

/// An error as a response, each with a status of its own.
pub(crate) fn refusal(error: Error) -> Answer {
    match error {
        Error::NoSuchStore => Answer::new(410, "no such store\n"),
        Error::AccessDenied => Answer::new(403, "access denied\n"),
        Error::Other(why) => Answer::new(422, format!("{why}\n")),
    }
}

fn done() -> Answer {
    Answer::new(204, "")
}

/// How many pages there are, and then every key on a line.
fn all_keys(bucket: &Bucket) -> Result<Answer, Error> {
    let (mut pages, mut lines, mut cursor) = (0, String::new(), None);
    loop {
        let page = bucket.list_keys(cursor.as_deref())?;
        pages += 1;
        lines.extend(page.keys.iter().map(|key| format!("{key}\n")));
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(Answer::new(200, format!("{pages} pages\n{lines}"))),
        }
    }
}

/// Appends to a value, and tries again for as long as somebody else is faster.
fn append(bucket: &Bucket, key: &str, more: &[u8]) -> Result<Answer, Error> {
    let mut cas = Cas::new(bucket, key)?;
    for conflicts in 0.. {
        let value = [cas.current()?.unwrap_or_default(), more.to_vec()].concat();
        match atomics::swap(cas, &value) {
            Ok(()) => return Ok(Answer::new(200, format!("{conflicts}"))),
            Err(CasError::CasFailed(newer)) => cas = newer,
            Err(CasError::StoreError(error)) => return Err(error),
        }
    }
    unreachable!("it tries for ever")
}

/// Looks at a key, changes it behind its own back, and tells what the swap says and shows then.
fn conflict(bucket: &Bucket, key: &str, value: &[u8]) -> Result<Answer, Error> {
    let cas = Cas::new(bucket, key)?;
    let before = cas.current()?;
    bucket.set(key, b"somebody else's")?;
    match atomics::swap(cas, value) {
        Err(CasError::CasFailed(newer)) => {
            let now = newer.current()?.unwrap_or_default();
            let again = atomics::swap(newer, value).is_ok();
            let said = format!("before {before:?}, then {}, again {again}\n", String::from_utf8_lossy(&now));
            Ok(Answer::new(200, said))
        }
        other => Ok(Answer::new(500, format!("the swap did not fail: {other:?}\n"))),
    }
}

fn many(bucket: &Bucket, keys: &str) -> Result<Answer, Error> {
    let keys: Vec<String> = keys.split(',').map(str::to_owned).collect();
    let lines = batch::get_many(bucket, &keys)?.into_iter().map(|pair| match pair {
        Some((key, value)) => format!("{key}={}\n", String::from_utf8_lossy(&value)),
        None => "nothing\n".to_owned(),
    });
    Ok(Answer::new(200, lines.collect::<String>()))
}

/// Sets `?count=N` keys `key-00000` … to the body, hundreds at a time.
fn numbered(bucket: &Bucket, query: Query<'_>, body: &[u8]) -> Result<Answer, Error> {
    let keys: Vec<i64> = (0..query.number("count", 1)).collect();
    for some in keys.chunks(500) {
        let pairs: Vec<_> = some.iter().map(|n| (format!("key-{n:05}"), body.to_vec())).collect();
        batch::set_many(bucket, &pairs)?;
    }
    Ok(done())
}

/// Sets key after key to the body until one is refused; tells how many were set and why the last was not.
fn fill(bucket: &Bucket, body: &[u8]) -> Answer {
    for count in 0.. {
        if let Err(error) = bucket.set(&format!("fill-{count:08}"), body) {
            return Answer::new(200, format!("{count} keys, then {error:?}\n"));
        }
    }
    unreachable!("a bucket has a quota")
}

/// The same, and no refusal stops it.
fn fill_forever(bucket: &Bucket, body: &[u8]) -> ! {
    for count in 0_u64.. {
        let _ = bucket.set(&format!("fill-{count:08}"), body);
    }
    unreachable!("nobody counts that far")
}

/// Looks at the same key again and again, and keeps every handle, until one is refused.
fn hoard(bucket: &Bucket, key: &str) -> Answer {
    let mut handles = Vec::new();
    loop {
        match Cas::new(bucket, key) {
            Ok(cas) => handles.push(cas),
            Err(error) => return Answer::new(200, format!("{} handles, then {error:?}\n", handles.len())),
        }
    }
}
