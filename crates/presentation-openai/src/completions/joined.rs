//! Joins the pieces of an answer that come at the same time.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use majordomo_presentation_http::ApiError;

/// Pieces are joined up to so many bytes.
const MAX_JOINED: usize = 64 * 1024;

/// The pieces of a stream, joined with those that follow at once. The client of an upstream hands over what it has read piece by
/// piece and goes on when other tasks have had their turn; each piece written by itself would cost more than reading it.
pub(super) struct Joined<S> {
    upstream: S,
    buffer: BytesMut,
    is_over: bool,
    /// What broke the stream, to be told after what is in the buffer.
    error: Option<ApiError>,
}

impl<S> Joined<S> {
    pub(super) fn new(upstream: S) -> Self {
        Self {
            upstream,
            buffer: BytesMut::new(),
            is_over: false,
            error: None,
        }
    }
}

impl<S: Stream<Item = Result<Bytes, ApiError>> + Unpin> Stream for Joined<S> {
    type Item = Result<Bytes, ApiError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let known = this.buffer.len();
        while !this.is_over && this.buffer.len() < MAX_JOINED {
            match this.upstream.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(piece))) => this.buffer.extend_from_slice(&piece),
                Poll::Ready(end) => {
                    this.is_over = true;
                    this.error = end.and_then(Result::err);
                }
                Poll::Pending if this.buffer.len() > known => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending if this.buffer.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if this.buffer.is_empty() {
            return Poll::Ready(this.error.take().map(Err));
        }
        Poll::Ready(Some(Ok(this.buffer.split().freeze())))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use majordomo_presentation_http::ErrorClass;

    use super::*;

    /// Gives one piece each time it is asked, and between two of them lets others go on.
    fn one_by_one(
        pieces: Vec<Result<Bytes, ApiError>>,
    ) -> impl Stream<Item = Result<Bytes, ApiError>> + Unpin {
        let mut pieces = pieces.into_iter();
        let mut waits = false;
        stream::poll_fn(move |context| {
            waits = !waits;
            if waits {
                return Poll::Ready(pieces.next());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[actix_web::test]
    async fn what_comes_at_once_is_one_piece_and_the_end_is_kept() {
        let three = ["a", "b", "c"].map(|piece| Ok(Bytes::from(piece)));
        let mut joined = Joined::new(one_by_one(three.into()));
        assert_eq!(joined.next().await.unwrap().unwrap(), "abc");
        assert!(joined.next().await.is_none());
        assert!(joined.next().await.is_none());
    }

    #[actix_web::test]
    async fn an_error_comes_after_what_was_before_it() {
        let broken = Err(ApiError::of(ErrorClass::Internal));
        let mut joined = Joined::new(one_by_one(vec![Ok(Bytes::from("a")), broken]));
        assert_eq!(joined.next().await.unwrap().unwrap(), "a");
        assert!(joined.next().await.unwrap().is_err());
        assert!(joined.next().await.is_none());
    }

    #[actix_web::test]
    async fn a_piece_does_not_wait_for_the_next() {
        let first = stream::iter([Ok(Bytes::from("a"))]).chain(stream::pending());
        let mut joined = Joined::new(first);
        assert_eq!(joined.next().await.unwrap().unwrap(), "a");
    }
}
