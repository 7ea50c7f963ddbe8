//! The service, called natively: the bucket is a fake, and nothing waits.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::pin::pin;

use users::Users;
use users::accounts::{Contact, Draft, Event, Failure, Filter, Patch, Permissions, Service, Status};
use wharf::service::{Streaming, next};
use wharf::testing::Plugin;

fn draft(name: &str) -> Draft {
    Draft {
        name: name.to_owned(),
        email: format!("{}@example.com", name.to_lowercase()),
        permissions: Some(Permissions::READ),
        contact: None,
        tags: vec!["new".to_owned(), "a".to_owned(), "new".to_owned()],
        avatar: None,
    }
}

const NOTHING: Patch =
    Patch { name: None, email: None, status: None, permissions: None, contact: None, tags: None };

async fn directory<T>(test: impl AsyncFnOnce(Users) -> T) -> T {
    Plugin::without_handler().bucket("users").run(test(Users)).await
}

#[wharf::test]
async fn a_user_is_created_read_changed_and_deleted() {
    directory(async |users| {
        let ann = users.create_user(draft("Ann")).await.unwrap();
        assert_eq!(
            (ann.id.as_str(), ann.status, &ann.contact),
            ("u00000001", Status::Invited, &Contact::Mail)
        );
        assert_eq!(ann.tags, ["a", "new"]);
        assert_eq!(users.get_user(ann.id.clone()).await.unwrap(), ann);

        let patch = Patch { status: Some(Status::Active), email: Some("ann@example.org".into()), ..NOTHING };
        let changed = users.update_user(ann.id.clone(), patch).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.status, changed.version), ("Ann", Status::Active, 1));
        assert_eq!(users.get_user(ann.id.clone()).await.unwrap(), changed);

        users.delete_user(ann.id.clone()).await.unwrap();
        assert_eq!(users.get_user(ann.id.clone()).await.unwrap_err(), Failure::NotFound);
        assert_eq!(users.delete_user(ann.id).await.unwrap_err(), Failure::NotFound);
    })
    .await;
}

#[wharf::test]
async fn no_two_users_have_the_same_address() {
    directory(async |users| {
        let ann = users.create_user(draft("Ann")).await.unwrap();
        let again = Draft { email: "ANN@example.com".into(), ..draft("Another") };
        let taken = Failure::EmailTaken("ANN@example.com".into());
        assert_eq!(users.create_user(again.clone()).await.unwrap_err(), taken);

        let bob = users.create_user(draft("Bob")).await.unwrap();
        let patch = Patch { email: Some("ANN@example.com".into()), ..NOTHING };
        assert_eq!(users.update_user(bob.id.clone(), patch.clone()).await.unwrap_err(), taken);

        // An address is free again once its user has another, or is gone.
        let moved = Patch { email: Some("ann@example.org".into()), ..NOTHING };
        users.update_user(ann.id.clone(), moved).await.unwrap();
        users.update_user(bob.id, patch).await.unwrap();
        users.delete_user(ann.id).await.unwrap();
        users.create_user(Draft { email: "ann@example.org".into(), ..draft("Cid") }).await.unwrap();
        assert!(matches!(users.create_user(again).await, Err(Failure::EmailTaken(_))));
    })
    .await;
}

#[wharf::test]
async fn a_user_who_is_none_takes_no_address() {
    directory(async |users| {
        let patch = Patch { email: Some("ann@example.com".into()), ..NOTHING };
        assert_eq!(users.update_user("u9".into(), patch).await.unwrap_err(), Failure::NotFound);
        users.create_user(draft("Ann")).await.unwrap();
    })
    .await;
}

#[wharf::test]
async fn what_is_not_right_is_refused_with_the_reason() {
    directory(async |users| {
        for (wrong, says) in [
            (Draft { name: " ".into(), ..draft("x") }, "a name"),
            (Draft { email: "ann".into(), ..draft("x") }, "\"ann\""),
            (Draft { avatar: Some(vec![0; 65_537]), ..draft("x") }, "an avatar"),
        ] {
            let Err(Failure::Invalid(reason)) = users.create_user(wrong).await else { panic!("{says}") };
            assert!(reason.contains(says), "{reason}");
        }
        assert!(matches!(users.list_users(None, Some(101)).await, Err(Failure::Invalid(_))));
    })
    .await;
}

#[wharf::test]
async fn users_come_in_pages_and_are_found() {
    directory(async |users| {
        for name in ["Ann", "Bob", "Cid", "Dora", "Eva"] {
            users.create_user(draft(name)).await.unwrap();
        }
        let names =
            |users: &[users::accounts::User]| users.iter().map(|user| user.name.clone()).collect::<Vec<_>>();
        let first = users.list_users(None, Some(2)).await.unwrap();
        assert_eq!(
            (names(&first.items), first.next.as_deref()),
            (vec!["Ann".into(), "Bob".into()], Some("u00000002"))
        );
        let second = users.list_users(first.next, Some(2)).await.unwrap();
        let last = users.list_users(second.next, Some(2)).await.unwrap();
        assert_eq!((names(&last.items), last.next), (vec!["Eva".to_owned()], None));

        let filter = Filter {
            text: Some("O".into()),
            status: Some(Status::Invited),
            permissions: Some(Permissions::READ),
            tags: vec!["new".into()],
        };
        assert_eq!(names(&users.search_users(filter.clone(), Some(1)).await.unwrap()), ["Ann"]);
        let text = Filter { text: Some("bob".into()), ..filter.clone() };
        assert_eq!(names(&users.search_users(text, None).await.unwrap()), ["Bob"]);
        let none = Filter { permissions: Some(Permissions::WRITE), ..filter };
        assert!(users.search_users(none, None).await.unwrap().is_empty());
    })
    .await;
}

#[wharf::test]
async fn users_are_loaded_in_the_order_that_they_are_asked_for() {
    directory(async |users| {
        let ann = users.create_user(draft("Ann")).await.unwrap();
        let bob = users.create_user(draft("Bob")).await.unwrap();
        let ids = vec![bob.id.clone(), "nobody".into(), ann.id.clone(), bob.id.clone()];
        assert_eq!(users.load_users(ids).await, [Some(bob.clone()), None, Some(ann), Some(bob)]);
    })
    .await;
}

#[wharf::test]
async fn whoever_watches_hears_of_what_was_missed_and_of_what_comes() {
    directory(async |users| {
        let ann = users.create_user(draft("Ann")).await.unwrap();
        let mut changes = pin!(users.watch(0).await.unwrap());
        let first = next(&mut changes).await.unwrap().unwrap();
        assert_eq!((first.number, first.event), (1, Event::Created(ann.clone())));
        users.delete_user(ann.id.clone()).await.unwrap();
        assert_eq!(next(&mut changes).await.unwrap().unwrap().event, Event::Deleted(ann.id));
    })
    .await;
}

#[wharf::test]
async fn an_import_says_what_it_did_not_take() {
    directory(async |users| {
        let wrong = Draft { email: String::new(), ..draft("Bob") };
        let drafts = Streaming::of([draft("Ann"), wrong, draft("Ann"), draft("Cid")]);
        let report = users.import_users(drafts).await.unwrap();
        assert_eq!(report.created, 2);
        let refused: Vec<_> = report.refused.iter().map(|(position, _)| *position).collect();
        assert_eq!(refused, [1, 2]);
        assert_eq!(report.refused[1].1, Failure::EmailTaken("ann@example.com".into()));
    })
    .await;
}

#[wharf::test]
async fn addresses_are_checked_one_by_one() {
    directory(async |users| {
        users.create_user(draft("Ann")).await.unwrap();
        let emails = Streaming::of(["Ann@example.com".to_owned(), "bob@example.com".to_owned()]);
        let mut answers = pin!(users.check_emails(emails).await.unwrap());
        assert!(!next(&mut answers).await.unwrap().unwrap().free);
        assert!(next(&mut answers).await.unwrap().unwrap().free);
        assert!(next(&mut answers).await.is_none());
    })
    .await;
}

#[wharf::test]
async fn without_its_bucket_the_directory_is_unavailable_and_says_why_in_the_log() {
    let plugin = Plugin::without_handler();
    assert_eq!(plugin.run(Users.get_user("u1".into())).await.unwrap_err(), Failure::Unavailable);
    assert!(plugin.logged("keyvalue = [\"users\"]"));
}
