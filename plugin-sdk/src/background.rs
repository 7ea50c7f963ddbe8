use crate::{Result, log};

/// Goes on with `work` after the response was sent.
///
/// It runs beside the rest of the call, and may go on when that is over: the client has its answer and does
/// not wait. The instance serves nobody else until it is done. The host gives it `limits.wall` after the
/// response has ended, and then drops the instance, and the work with it. A failure goes to the log.
///
/// ```
/// # use wharf_sdk as wharf;
/// use wharf::{NoContent, Result};
///
/// async fn tell_everybody(news: String) -> Result<()> {
///     // …
/// #   drop(news);
///     Ok(())
/// }
///
/// #[wharf::handler]
/// async fn publish(news: String) -> NoContent {
///     wharf::background(tell_everybody(news));
///     NoContent
/// }
/// ```
///
/// What must not be lost belongs into the answer's own time, or into a bucket first.
pub fn background<T: Outcome>(work: impl Future<Output = T> + 'static) {
    spawn(async move {
        if let Err(failure) = work.await.into_result() {
            log::background_failed(&failure);
        }
    });
}

/// What work in the background may end with: nothing, or a [`Result`].
pub trait Outcome {
    /// The failure, if there is one.
    fn into_result(self) -> Result<()>;
}

impl Outcome for () {
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl Outcome for Result<()> {
    fn into_result(self) -> Result<()> {
        self
    }
}

#[cfg(target_family = "wasm")]
pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    wit_bindgen::spawn_local(work);
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    crate::testing::in_background(work);
}
