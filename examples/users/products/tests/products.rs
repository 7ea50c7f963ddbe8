//! The service, called natively: the bucket is a fake.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use products::Shop;
use products::catalog::{Category, Handling, NewProduct, Service as _};
use products::orders::{OrderLine, Service as _, State};
use products::types::Failure;
use wharf::testing::Plugin;

async fn shop<T>(test: impl AsyncFnOnce(Shop) -> T) -> T {
    Plugin::without_handler().bucket("shop").run(test(Shop)).await
}

fn rope() -> NewProduct {
    NewProduct {
        name: "Rope".to_owned(),
        category: Category::Garden,
        handling: Handling::FLAMMABLE,
        price: 1_250,
        weight: 0.75,
        size: Some((30.0, 30.0, 4.5)),
        stock: 3,
    }
}

fn line(product: &str, quantity: u32) -> OrderLine {
    OrderLine { product_id: product.to_owned(), quantity }
}

#[wharf::test]
async fn products_are_added_and_found() {
    shop(async |shop| {
        let added = shop.add_product(rope()).await.unwrap();
        let book = NewProduct { category: Category::Books, ..rope() };
        let book = shop.add_product(book).await.unwrap();
        assert_eq!(shop.get_product(added.id.clone()).await.unwrap(), added);
        assert_eq!(shop.list_products(Some(Category::Books)).await.unwrap(), std::slice::from_ref(&book));
        assert_eq!(shop.list_products(None).await.unwrap().len(), 2);
        let ids = vec![book.id.clone(), "none".into(), added.id.clone()];
        assert_eq!(shop.load_products(ids).await, [Some(book), None, Some(added)]);
        assert_eq!(shop.get_product("none".into()).await.unwrap_err(), Failure::NotFound);
        let wrong = NewProduct { weight: f64::NAN, ..rope() };
        assert!(matches!(shop.add_product(wrong).await, Err(Failure::Invalid(_))));
    })
    .await;
}

#[wharf::test]
async fn an_order_takes_all_of_its_products_or_none() {
    shop(async |shop| {
        let one = shop.add_product(rope()).await.unwrap().id;
        let other = shop.add_product(rope()).await.unwrap().id;
        let lines = vec![line(&one, 2), line(&other, 1)];
        let order = shop.create_order("u1".into(), lines, Some("quickly".into())).await.unwrap();
        assert_eq!((order.total, order.weight, &order.state), (3_750, 2.25, &State::Placed));
        assert_eq!(shop.get_order(order.id.clone()).await.unwrap(), order);

        let too_many = vec![line(&other, 1), line(&one, 2)];
        let failure = shop.create_order("u1".into(), too_many, None).await.unwrap_err();
        assert_eq!(failure, Failure::SoldOut(one.clone()));
        let unknown = vec![line(&one, 1), line("none", 1)];
        let failure = shop.create_order("u1".into(), unknown, None).await.unwrap_err();
        assert_eq!(failure, Failure::Invalid("lines[1].product-id is that of no product".into()));
        assert_eq!(shop.get_product(one).await.unwrap().stock, 1);
        assert_eq!(shop.get_product(other).await.unwrap().stock, 2);

        let sent = shop.set_state(order.id, State::Sent("XY 1".into())).await.unwrap();
        assert_eq!(sent.state, State::Sent("XY 1".into()));
    })
    .await;
}

#[wharf::test]
async fn orders_come_in_pages() {
    shop(async |shop| {
        let many = NewProduct { stock: 100, ..rope() };
        let product = shop.add_product(many).await.unwrap().id;
        for user in 1..=5 {
            shop.create_order(format!("u{user}"), vec![line(&product, 1)], None).await.unwrap();
        }
        let first = shop.list_orders(None, Some(3)).await.unwrap();
        assert_eq!((first.items.len(), first.next.as_deref()), (3, Some("o00000003")));
        let last = shop.list_orders(first.next, Some(3)).await.unwrap();
        assert_eq!((last.items.len(), last.next), (2, None));
        assert!(matches!(shop.list_orders(None, Some(0)).await, Err(Failure::Invalid(_))));
    })
    .await;
}
