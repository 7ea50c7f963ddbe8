//! A directory of users, kept in a bucket. The interface is `wit/accounts.wit`; this is what its functions do, and
//! there is nothing here about HTTP, gRPC, GraphQL or JSON.

mod store;
mod watch;

use wharf::service::{Items, Stream, Streaming};

wharf::wit!("wit", derive(serde::Serialize, serde::Deserialize));

use accounts::{
    Availability, Change, Contact, Draft, Failure, Filter, ImportReport, Patch, Permissions, Status, User,
    UserPage,
};
use store::Store;

const PAGE: u32 = 20;
const PAGE_MAX: u32 = 100;
const LOAD_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 200;
const AVATAR_BYTES_MAX: usize = 64 * 1024;

/// The service. What it knows is in the bucket, so that every instance knows the same.
#[derive(Debug, Default)]
pub struct Users;

#[wharf::service]
impl accounts::Service for Users {
    async fn create_user(&self, user: Draft) -> Result<User, Failure> {
        create(&Store::open()?, user)
    }

    async fn get_user(&self, id: String) -> Result<User, Failure> {
        Store::open()?.get(&id)?.ok_or(Failure::NotFound)
    }

    async fn update_user(&self, id: String, patch: Patch) -> Result<User, Failure> {
        let store = Store::open()?;
        check(patch.name.as_deref(), patch.email.as_deref(), None)?;
        if let Some(email) = &patch.email {
            store.take_email(email, &id)?;
        }
        let mut before = None;
        let updated = store.update(&id, |user| {
            before = Some(user.email.clone());
            apply(user, patch.clone())
        });
        let updated = match updated {
            Ok(user) => user,
            Err(failure) => {
                // What was taken for nothing is given back.
                if let Some(email) = &patch.email {
                    store.free_email(email, &id)?;
                }
                return Err(failure);
            }
        };
        if let Some(before) = before.filter(|before| !store::same_email(before, &updated.email)) {
            store.free_email(&before, &id)?;
        }
        Ok(updated)
    }

    async fn delete_user(&self, id: String) -> Result<(), Failure> {
        Store::open()?.delete(&id)
    }

    async fn list_users(&self, after: Option<String>, first: Option<u32>) -> Result<UserPage, Failure> {
        let first = page_size(first, "first")?;
        let mut items = Store::open()?.list(after.as_deref(), first + 1, |_| true)?;
        let more = items.len() > first;
        items.truncate(first);
        let next = items.last().filter(|_| more).map(|user| user.id.clone());
        Ok(UserPage { items, next })
    }

    async fn search_users(&self, filter: Filter, limit: Option<u32>) -> Result<Vec<User>, Failure> {
        let limit = page_size(limit, "limit")?;
        Store::open()?.list(None, limit, |user| fits(user, &filter))
    }

    async fn load_users(&self, ids: Vec<String>) -> Vec<Option<User>> {
        let found = Store::open().and_then(|store| {
            if ids.len() > LOAD_MAX {
                return Err(Failure::Invalid(format!("at most {LOAD_MAX} ids at once")));
            }
            store.get_many(&ids)
        });
        // The interface has no error for this, as befits a lookup: the call fails as a whole.
        found.unwrap_or_else(|failure| panic!("users cannot be loaded: {failure:?}"))
    }

    async fn watch(&self, after: u64) -> Result<impl Stream<Item = Result<Change, Failure>>, Failure> {
        watch::changes(Store::open()?, after)
    }

    async fn import_users(&self, mut users: Streaming<Draft>) -> Result<ImportReport, Failure> {
        let store = Store::open()?;
        let mut report = ImportReport { created: 0, refused: Vec::new() };
        let mut position = 0;
        while let Some(user) = users.next().await {
            match create(&store, user) {
                Ok(_) => report.created += 1,
                Err(Failure::Unavailable) => return Err(Failure::Unavailable),
                Err(failure) => report.refused.push((position, failure)),
            }
            position += 1;
        }
        Ok(report)
    }

    async fn check_emails(
        &self,
        mut emails: Streaming<String>,
    ) -> Result<impl Stream<Item = Result<Availability, Failure>>, Failure> {
        let store = Store::open()?;
        Ok(Items::new(async move |answers| {
            while let Some(email) = emails.next().await {
                let free = store.is_free(&email)?;
                answers.send(Availability { email, free }).await;
            }
            Ok(())
        }))
    }
}

fn create(store: &Store, draft: Draft) -> Result<User, Failure> {
    check(Some(&draft.name), Some(&draft.email), draft.avatar.as_deref())?;
    let id = store.new_id()?;
    store.take_email(&draft.email, &id)?;
    let user = User {
        id,
        name: draft.name,
        email: draft.email,
        status: Status::Invited,
        permissions: draft.permissions.unwrap_or(Permissions::empty()),
        contact: draft.contact.unwrap_or(Contact::Mail),
        tags: sorted(draft.tags),
        avatar: draft.avatar,
        created: store::now(),
        version: 0,
    };
    store.insert(&user)?;
    Ok(user)
}

fn check(name: Option<&str>, email: Option<&str>, avatar: Option<&[u8]>) -> Result<(), Failure> {
    if let Some(name) = name
        && !(1..=NAME_BYTES_MAX).contains(&name.trim().len())
    {
        return Err(Failure::Invalid(format!("a name has 1 to {NAME_BYTES_MAX} bytes")));
    }
    if let Some(email) = email
        && !email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
    {
        return Err(Failure::Invalid(format!("{email:?} is not the address of a mail")));
    }
    if avatar.is_some_and(|avatar| avatar.len() > AVATAR_BYTES_MAX) {
        return Err(Failure::Invalid(format!("an avatar has at most {AVATAR_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn apply(user: &mut User, patch: Patch) {
    let User { name, email, status, permissions, contact, tags, version, .. } = user;
    set(name, patch.name);
    set(email, patch.email);
    set(status, patch.status);
    set(permissions, patch.permissions);
    set(contact, patch.contact);
    set(tags, patch.tags.map(sorted));
    *version += 1;
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn fits(user: &User, filter: &Filter) -> bool {
    let has = |text: &str| {
        let text = text.to_lowercase();
        user.name.to_lowercase().contains(&text) || user.email.to_lowercase().contains(&text)
    };
    filter.text.as_deref().is_none_or(has)
        && filter.status.is_none_or(|status| user.status == status)
        && filter.permissions.is_none_or(|all| user.permissions.contains(all))
        && filter.tags.iter().all(|tag| user.tags.contains(tag))
}

fn page_size(asked: Option<u32>, name: &str) -> Result<usize, Failure> {
    match asked.unwrap_or(PAGE) {
        size @ 1..=PAGE_MAX => Ok(size as usize),
        _ => Err(Failure::Invalid(format!("{name} is 1 to {PAGE_MAX}"))),
    }
}

fn sorted(mut tags: Vec<String>) -> Vec<String> {
    tags.sort();
    tags.dedup();
    tags
}
