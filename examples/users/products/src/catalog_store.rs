//! Where products are kept.

use wharf::kv::{Bucket, Typed};

use crate::catalog::{NewProduct, Product};
use crate::orders::OrderLine;
use crate::types::Failure;

pub struct Products(Typed<Product>);

impl Products {
    pub fn open() -> Result<Self, Failure> {
        Ok(Products(Bucket::open("shop")?.into()))
    }

    pub fn add(&self, new: NewProduct) -> Result<Product, Failure> {
        let NewProduct { name, category, handling, price, weight, size, stock } = new;
        // Leading zeros, so that the order of the keys is that of the numbers.
        let id = format!("p{:08}", self.0.bucket().increment("last-product", 1)?);
        let product = Product { id, name, category, handling, price, weight, size, stock };
        self.0.set(&key(&product.id), &product)?;
        Ok(product)
    }

    pub fn get(&self, id: &str) -> Result<Option<Product>, Failure> {
        Ok(self.0.get(&key(id))?)
    }

    pub fn list(&self, fits: impl Fn(&Product) -> bool) -> Result<Vec<Product>, Failure> {
        let mut found = Vec::new();
        for key in self.0.bucket().keys() {
            let key = key?;
            if key.starts_with("product/") {
                found.extend(self.0.get(&key)?.filter(&fits));
            }
        }
        Ok(found)
    }

    /// Takes the products of an order out of the stock, all of them or none, and says what they cost and weigh.
    pub fn take(&self, lines: &[OrderLine]) -> Result<(u64, f64), Failure> {
        let (mut total, mut weight) = (0_u64, 0.0);
        for (at, line) in lines.iter().enumerate() {
            match self.take_line(line) {
                Ok(product) => {
                    total = total.saturating_add(product.price.saturating_mul(line.quantity.into()));
                    weight += product.weight * f64::from(line.quantity);
                }
                Err(failure) => {
                    lines[..at].iter().try_for_each(|line| self.put_back(line))?;
                    return Err(match failure {
                        Failure::NotFound => {
                            Failure::Invalid(format!("lines[{at}].product-id is that of no product"))
                        }
                        failure => failure,
                    });
                }
            }
        }
        Ok((total, weight))
    }

    fn take_line(&self, line: &OrderLine) -> Result<Product, Failure> {
        self.0.update(&key(&line.product_id), |product| {
            let mut product = product.ok_or(Failure::NotFound)?;
            let left = product.stock.checked_sub(line.quantity);
            product.stock = left.ok_or_else(|| Failure::SoldOut(line.product_id.clone()))?;
            Ok(product)
        })
    }

    fn put_back(&self, line: &OrderLine) -> Result<(), Failure> {
        self.0.update(&key(&line.product_id), |product| {
            let mut product = product.ok_or(Failure::NotFound)?;
            product.stock = product.stock.saturating_add(line.quantity);
            Ok::<_, Failure>(product)
        })?;
        Ok(())
    }
}

fn key(id: &str) -> String {
    format!("product/{id}")
}
