//! The DataLoader: the keys of one step of an execution are loaded together, each once.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use indexmap::{IndexMap, IndexSet};
use wharf_call::{Call, Door, Failure, FunctionId, Kind, Reply, Value};
use wharf_doors::call::invoke;

use crate::execute::{Job, log};
use crate::links::Link;
use crate::output::{Step, Wanted, Writer};

/// A function that loads: the plugin, and its function.
type By = (usize, FunctionId);
type Loaded = Result<Option<Value>, Arc<Failure>>;

/// What one request has loaded.
#[derive(Default)]
pub(crate) struct Loader {
    values: HashMap<By, HashMap<Key, Loaded>>,
    /// How many keys were loaded.
    count: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Enum(u32),
}

impl Key {
    fn of(value: &Value) -> Option<Key> {
        match value {
            Value::String(text) => Some(Key::Text(text.clone())),
            Value::Signed(number) => Some(Key::Signed(*number)),
            Value::Unsigned(number) => Some(Key::Unsigned(*number)),
            Value::Enum(case) => Some(Key::Enum(*case)),
            _ => None,
        }
    }

    fn value(&self) -> Value {
        match self {
            Key::Text(text) => Value::String(text.clone()),
            Key::Signed(number) => Value::Signed(*number),
            Key::Unsigned(number) => Value::Unsigned(*number),
            Key::Enum(case) => Value::Enum(*case),
        }
    }
}

/// The keys that a record's field has.
fn keys(value: &Value) -> Vec<Key> {
    match value {
        Value::Option(value) => value.as_deref().and_then(Key::of).into_iter().collect(),
        Value::List(values) => values.iter().filter_map(Key::of).collect(),
        value => Key::of(value).into_iter().collect(),
    }
}

impl Loader {
    /// Forgets what was loaded; not how much.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
    }
}

impl<'p> Job<'p> {
    /// Loads what is wanted, then what that wants, to the end.
    pub(crate) async fn load(&mut self, loader: &mut Loader) {
        while !self.page.wanted.is_empty() && !self.too_large {
            let wanted = std::mem::take(&mut self.page.wanted);
            self.step(&wanted, loader).await;
            self.holes.resize_with(self.page.holes, || None);
            for want in wanted {
                self.fill(want, loader);
                if self.too_large {
                    return;
                }
            }
        }
    }

    /// Loads the keys of one step that are not there yet.
    async fn step(&self, wanted: &[Wanted<'p>], loader: &mut Loader) {
        let config = &self.core.config;
        let mut missing: IndexMap<By, IndexSet<Key>> = IndexMap::new();
        for want in wanted {
            let Link { plugin, function, .. } = self.page.model.links[want.link];
            let known = loader.values.entry((plugin, function)).or_default();
            for key in keys(&want.key) {
                if !known.contains_key(&key) {
                    missing.entry((plugin, function)).or_default().insert(key);
                }
            }
        }
        let mut batches = Vec::new();
        for (by, keys) in missing {
            let mut keys = keys.into_iter().peekable();
            while keys.peek().is_some() {
                let batch: Vec<Key> = keys.by_ref().take(config.load_batch_max.max(1)).collect();
                loader.count += batch.len();
                batches.push((by, batch, loader.count > config.loads_max));
            }
        }
        let loads = batches.into_iter().map(|(by, batch, refused)| async move {
            let values = match refused {
                true => Err(Failure::new(
                    Kind::Unprocessable,
                    format!(
                        "The operation loads more than {} linked values: ask for less.",
                        config.loads_max
                    ),
                )),
                false => self.batch(by, &batch).await,
            };
            (by, batch, values)
        });
        for (by, batch, values) in join_all(loads).await {
            let known = loader.values.entry(by).or_default();
            match values {
                Ok(values) => known.extend(batch.into_iter().zip(values.into_iter().map(Ok))),
                Err(failure) => {
                    log(&failure, self.invocation);
                    let failure = Arc::new(failure);
                    known.extend(batch.into_iter().map(|key| (key, Err(failure.clone()))));
                }
            }
        }
    }

    /// One call. What is not as long as its keys is an error for all of them: nobody knows which value is whose.
    async fn batch(&self, (plugin, function): By, batch: &[Key]) -> Result<Vec<Option<Value>>, Failure> {
        let service = &self.page.model.plugins[plugin].service;
        let keys = Value::List(batch.iter().map(Key::value).collect());
        let call = Call { function, args: vec![keys], input: None, door: Door::Graphql };
        let bad = |private: String| {
            Failure::new(Kind::InvalidResponse, "The plugin did not give a value for each key.")
                .with_private(private)
        };
        let values = match invoke(&**service, call, self.invocation.clone()).await? {
            Reply::Value(Some(Value::List(values))) => values,
            _ => return Err(bad("it gave no list".to_owned())),
        };
        if values.len() != batch.len() {
            return Err(bad(format!("{} values for {} keys", values.len(), batch.len())));
        }
        let values = values.into_iter().map(|value| match value {
            Value::Option(value) => Ok(value.map(|value| *value)),
            _ => Err(bad("a value is no option".to_owned())),
        });
        values.collect()
    }

    /// Writes what was loaded to where it is wanted.
    fn fill(&mut self, want: Wanted<'p>, loader: &Loader) {
        let model = self.page.model;
        let link = &model.links[want.link];
        let Some(known) = loader.values.get(&(link.plugin, link.function)) else { return };
        let plugin = &model.plugins[link.plugin];
        let before = self.page.wanted.len();
        let mut failed: Vec<(Arc<Failure>, Vec<Step<'p>>)> = Vec::new();
        let mut writer = Writer::new(&mut self.page, want.path.clone());
        let mut one = |writer: &mut Writer<'_, 'p>, key: &Key| match known.get(key) {
            Some(Ok(Some(value))) => writer.write(plugin, &link.target, want.shape, value),
            Some(Err(failure)) => {
                failed.push((failure.clone(), writer.path.clone()));
                writer.raw("null");
                Ok(())
            }
            Some(Ok(None)) | None => {
                writer.raw("null");
                Ok(())
            }
        };
        let keys = keys(&want.key);
        let written = match (link.many, keys.first()) {
            (true, _) => writer.list(&keys, one),
            (false, Some(key)) => one(&mut writer, key),
            (false, None) => {
                writer.raw("null");
                Ok(())
            }
        };
        match written.and_then(|()| writer.finish()) {
            Ok(text) => self.holes[want.hole] = Some(text),
            Err(error) => {
                self.page.wanted.truncate(before);
                let failure = self.failure(error);
                self.fail(&failure, None, want.pos, &want.path);
            }
        }
        for (failure, path) in failed {
            if self.too_large {
                return;
            }
            self.fail(&failure, None, want.pos, &path);
        }
    }
}
