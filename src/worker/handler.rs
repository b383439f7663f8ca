//! What handles events.

use std::sync::Arc;

use super::{Delivery, HandlerError};

/// Handles the events of an endpoint.
///
/// A closure is given to the builder's `handle`, a [`tower::Service`] to `handle_service`; this trait is
/// for handlers with state and a name.
///
/// # Contract
///
/// - **At least once.** `Ok` says that the event was handled, and it is not handed out again once
///   that was stored. A process that ends in between hands it out again: effects are idempotent, or
///   are written in the transaction that completes the [lease](Delivery::lease).
/// - **One at a time.** No two deliveries of one key run at the same time, as long as the lease
///   holds. When it is [lost](Delivery::lease_lost), another worker may have the event.
/// - **Errors, panics and timeouts** are failed attempts, tried again by the
///   [retry policy](super::RetryPolicy), unless the error [gives up](super::GiveUp).
/// - **Cancellation.** The future is dropped at an await point when the handler's timeout is up,
///   when the worker's grace has ended, and when the worker itself is dropped.
/// - A handler that blocks its thread is not interrupted by anything: use
///   [`spawn_blocking`](tokio::task::spawn_blocking).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle deliveries of `{E}`",
    label = "not a `Handler<{E}>`",
    note = "implement `Handler<{E}>` for it; a closure goes to `.handle(..)`, a `tower::Service` to `.handle_service(..)`"
)]
pub trait Handler<E>: Send + Sync + 'static {
    /// Handles one delivery.
    ///
    /// # Errors
    ///
    /// An error is a failed attempt. [`HandlerError`] is made from any error by `?`.
    fn handle(
        &self,
        delivery: Delivery<E>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<E: Send + 'static, H: Handler<E>> Handler<E> for Arc<H> {
    async fn handle(&self, delivery: Delivery<E>) -> Result<(), HandlerError> {
        (**self).handle(delivery).await
    }
}

impl<E: Send + 'static, H: Handler<E>> Handler<E> for Box<H> {
    async fn handle(&self, delivery: Delivery<E>) -> Result<(), HandlerError> {
        (**self).handle(delivery).await
    }
}
