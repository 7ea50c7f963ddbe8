//! Notes over REST. They are kept in a bucket, a link in one is looked up by a call of the plugin's own, and
//! whoever listens at `/changes` hears what happens to them.

mod changes;
mod preview;
mod store;

use serde::{Deserialize, Serialize};
use wharf::{Html, Json, NoContent, OrFail, Path, Query, Result, Sse, StatusCode, config, tracing};

use crate::store::Store;

/// What a client sends.
#[derive(Deserialize)]
pub struct Draft {
    pub text: String,
    /// An address whose title is shown beside the text.
    pub link: Option<String>,
}

/// What is kept, and what a client gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub id: u64,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub url: String,
    pub title: String,
}

#[derive(Deserialize)]
struct Page {
    /// The last id of the page before.
    #[serde(default)]
    after: u64,
    #[serde(default = "twenty")]
    limit: usize,
}

fn twenty() -> usize {
    20
}

#[derive(Deserialize)]
struct Since {
    /// The number of the last change that the client has seen.
    #[serde(default)]
    after: u64,
    /// How many to send; without it, the stream goes on until the client leaves.
    limit: Option<u64>,
}

/// What all requests of an instance share: the settings, read once.
pub struct Notes {
    title: String,
}

#[wharf::router]
impl Notes {
    /// A version without its configuration never serves.
    async fn start() -> Result<Self> {
        Ok(Notes { title: config::require("title")? })
    }

    /// Nor does one that cannot reach its bucket.
    async fn health(&self) -> Result<()> {
        Store::open()?;
        Ok(())
    }

    #[get("/")]
    async fn about(&self) -> Html<String> {
        Html(format!("<!doctype html>\n<title>{}</title>\n", self.title))
    }

    #[get("/notes")]
    async fn list(&self, Query(page): Query<Page>) -> Result<Json<Vec<Note>>> {
        Ok(Json(Store::open()?.list(page.after, page.limit.min(100))?))
    }

    #[post("/notes")]
    async fn create(
        &self,
        Json(draft): Json<Draft>,
    ) -> Result<(StatusCode, [(&'static str, String); 1], Json<Note>)> {
        let link = preview::of(draft.link).await?;
        let note = Store::open()?.create(draft.text, link)?;
        // A line of the host's log, under the id of the request.
        tracing::info!(id = note.id, "a new note");
        Ok((StatusCode::CREATED, [("location", format!("/notes/{}", note.id))], Json(note)))
    }

    #[get("/notes/{id}")]
    async fn read(&self, Path(id): Path<u64>) -> Result<Json<Note>> {
        Store::open()?.get(id)?.map(Json).or_not_found("there is no such note")
    }

    #[put("/notes/{id}")]
    async fn replace(&self, Path(id): Path<u64>, Json(draft): Json<Draft>) -> Result<Json<Note>> {
        let link = preview::of(draft.link).await?;
        let note = Note { id, text: draft.text, link };
        Store::open()?.replace(&note)?.or_not_found("there is no such note")?;
        Ok(Json(note))
    }

    #[delete("/notes/{id}")]
    async fn delete(&self, Path(id): Path<u64>) -> Result<NoContent> {
        Store::open()?.delete(id)?.or_not_found("there is no such note")?;
        Ok(NoContent)
    }

    #[get("/changes")]
    async fn changes(&self, Query(since): Query<Since>) -> Result<Sse> {
        changes::stream(Store::open()?, since.after, since.limit)
    }
}
