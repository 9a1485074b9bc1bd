//! Futures that need the runtime the log was opened in, for whoever polls them.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream};
use tokio::runtime::Handle;

/// A future or stream that is polled as if by a thread of the runtime: its timers and tasks run there.
pub(crate) struct Within<T> {
    runtime: Handle,
    inner: T,
}

impl<T> Within<T> {
    pub(crate) const fn new(runtime: Handle, inner: T) -> Self {
        Self { runtime, inner }
    }
}

impl<T> Future for Within<BoxFuture<'_, T>> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let _entered = this.runtime.enter();
        this.inner.as_mut().poll(context)
    }
}

impl<T> Stream for Within<BoxStream<'_, T>> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let _entered = this.runtime.enter();
        this.inner.as_mut().poll_next(context)
    }
}
