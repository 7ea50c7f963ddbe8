use std::any::Any;

use super::Extract;
use crate::Result;
use crate::call::Call;

/// What [`Router::with_state`](crate::Router::with_state) was given, by its type.
///
/// ```
/// # use wharf_sdk as wharf;
/// use std::cell::Cell;
/// use wharf::{Router, State};
///
/// struct Counter(Cell<u64>);
///
/// async fn count(State(counter): State<&Counter>) -> String {
///     counter.0.set(counter.0.get() + 1);
///     format!("{} so far\n", counter.0.get())
/// }
///
/// #[wharf::router]
/// fn routes() -> Router {
///     Router::new().get("/count", count).with_state(Counter(Cell::new(0)))
/// }
/// ```
///
/// It lives as long as the instance, and there are several instances: it is a cache, not a database.
#[derive(Clone, Copy, Debug)]
pub struct State<T>(pub T);

impl<T: 'static> Extract for State<&'static T> {
    async fn extract(call: &mut Call) -> Result<Self> {
        call.state().map(State)
    }

    fn missing(states: &[&'static dyn Any]) -> Option<&'static str> {
        let found = states.iter().any(|state| state.is::<T>());
        (!found).then(std::any::type_name::<T>)
    }
}
