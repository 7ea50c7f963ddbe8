//! Where orders are kept.

use std::time::UNIX_EPOCH;

use wharf::kv::{Bucket, Typed};
use wharf::time;

use crate::orders::{Order, OrderLine, State};
use crate::types::Failure;

pub struct Orders(Typed<Order>);

impl Orders {
    pub fn open() -> Result<Self, Failure> {
        Ok(Orders(Bucket::open("shop")?.into()))
    }

    pub fn place(
        &self,
        user_id: String,
        lines: Vec<OrderLine>,
        total: u64,
        weight: f64,
        note: Option<String>,
    ) -> Result<Order, Failure> {
        // Leading zeros, so that the order of the keys is that of the numbers.
        let id = format!("o{:08}", self.0.bucket().increment("last-order", 1)?);
        let since = time::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let placed = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let order = Order { id, user_id, lines, total, weight, state: State::Placed, note, placed };
        self.0.set(&key(&order.id), &order)?;
        Ok(order)
    }

    pub fn get(&self, id: &str) -> Result<Option<Order>, Failure> {
        Ok(self.0.get(&key(id))?)
    }

    /// Orders after that id, at most `limit` of them.
    pub fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Order>, Failure> {
        let after = after.map(key).unwrap_or_default();
        let mut found = Vec::new();
        for key in self.0.bucket().keys() {
            let key = key?;
            if found.len() == limit {
                break;
            }
            if key.starts_with("order/") && key > after {
                found.extend(self.0.get(&key)?);
            }
        }
        Ok(found)
    }

    /// Changes an order whole or not at all, whoever else does at the same time.
    pub fn update(&self, id: &str, mut change: impl FnMut(&mut Order)) -> Result<Order, Failure> {
        self.0.update(&key(id), |order| {
            let mut order = order.ok_or(Failure::NotFound)?;
            change(&mut order);
            Ok(order)
        })
    }
}

fn key(id: &str) -> String {
    format!("order/{id}")
}
