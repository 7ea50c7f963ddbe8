//! A shop, kept in a bucket: what there is to buy, and who has bought it. The interfaces are `wit/shop.wit`. An order
//! knows its user by an id of the plugin `users`; `wharf.toml` says how the one leads to the other.

mod catalog_store;
mod order_store;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wharf::{kv, tracing};

wharf::wit!("wit", derive(serde::Serialize, serde::Deserialize));

use catalog::{Category, Handling, NewProduct, Product};
use catalog_store::Products;
use order_store::Orders;
use orders::{Order, OrderLine, OrderPage, State};
use types::Failure;

const PAGE: u32 = 20;
const PAGE_MAX: u32 = 100;
const LOAD_MAX: usize = 1_000;
const LINES_MAX: usize = 100;
const NAME_BYTES_MAX: usize = 200;

/// Serves both interfaces. What it knows is in the bucket, so that every instance knows the same.
#[derive(Debug, Default)]
pub struct Shop;

#[wharf::service]
impl catalog::Service for Shop {
    async fn add_product(&self, product: NewProduct) -> Result<Product, Failure> {
        if !(1..=NAME_BYTES_MAX).contains(&product.name.trim().len()) {
            return Err(Failure::Invalid(format!("a name has 1 to {NAME_BYTES_MAX} bytes")));
        }
        if !product.weight.is_finite() || product.weight < 0.0 {
            return Err(Failure::Invalid("a weight is a number of kilograms, and not negative".to_owned()));
        }
        Products::open()?.add(product)
    }

    async fn get_product(&self, id: String) -> Result<Product, Failure> {
        Products::open()?.get(&id)?.ok_or(Failure::NotFound)
    }

    async fn list_products(&self, category: Option<Category>) -> Result<Vec<Product>, Failure> {
        Products::open()?.list(|product| category.is_none_or(|category| product.category == category))
    }

    async fn load_products(&self, ids: Vec<String>) -> Vec<Option<Product>> {
        let found = Products::open().and_then(|products| {
            if ids.len() > LOAD_MAX {
                return Err(Failure::Invalid(format!("at most {LOAD_MAX} ids at once")));
            }
            ids.iter().map(|id| products.get(id)).collect()
        });
        // The interface has no error for this, as befits a lookup: the call fails as a whole.
        found.unwrap_or_else(|failure| panic!("products cannot be loaded: {failure:?}"))
    }
}

#[wharf::service]
impl orders::Service for Shop {
    async fn create_order(
        &self,
        user_id: String,
        lines: Vec<OrderLine>,
        note: Option<String>,
    ) -> Result<Order, Failure> {
        if !(1..=LINES_MAX).contains(&lines.len()) {
            return Err(Failure::Invalid(format!("an order has 1 to {LINES_MAX} lines")));
        }
        if let Some(at) = lines.iter().position(|line| line.quantity == 0) {
            return Err(Failure::Invalid(format!("lines[{at}].quantity is 0")));
        }
        let (total, weight) = Products::open()?.take(&lines)?;
        Orders::open()?.place(user_id, lines, total, weight, note)
    }

    async fn get_order(&self, id: String) -> Result<Order, Failure> {
        Orders::open()?.get(&id)?.ok_or(Failure::NotFound)
    }

    async fn list_orders(&self, after: Option<String>, first: Option<u32>) -> Result<OrderPage, Failure> {
        let first = match first.unwrap_or(PAGE) {
            first @ 1..=PAGE_MAX => first as usize,
            _ => return Err(Failure::Invalid(format!("first is 1 to {PAGE_MAX}"))),
        };
        let mut items = Orders::open()?.list(after.as_deref(), first + 1)?;
        let more = items.len() > first;
        items.truncate(first);
        let next = items.last().filter(|_| more).map(|order| order.id.clone());
        Ok(OrderPage { items, next })
    }

    async fn set_state(&self, id: String, state: State) -> Result<Order, Failure> {
        Orders::open()?.update(&id, |order| order.state = state.clone())
    }
}

/// What a client cannot help is said to the operator.
impl From<kv::Error> for Failure {
    fn from(error: kv::Error) -> Self {
        tracing::error!("the shop cannot be reached: {error}");
        Failure::Unavailable
    }
}

/// Flags are kept as their bits.
impl Serialize for Handling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bits().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Handling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(Handling::from_bits_truncate)
    }
}
