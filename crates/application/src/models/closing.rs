//! Answers that end, with an error that says so, when the server stops.

use std::task::Poll;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::ports::{ModelError, ModelErrorKind};

/// The pieces of an answer up to its end, or up to `closing` and a last error that tells of it.
pub(super) fn until_closing<T: Send + 'static>(
    mut pieces: BoxStream<'static, Result<T, ModelError>>,
    closing: CancellationToken,
) -> BoxStream<'static, Result<T, ModelError>> {
    let mut closed = Box::pin(closing.cancelled_owned().fuse());
    let mut over = false;
    let next = stream::poll_fn(move |context| {
        if over {
            return Poll::Ready(None);
        }
        // What is there already is passed on first.
        if let ready @ Poll::Ready(_) = pieces.poll_next_unpin(context) {
            return ready;
        }
        closed.poll_unpin(context).map(|()| {
            over = true;
            let words = "The server is stopping; the answer was cut short";
            Some(Err(ModelError::new(ModelErrorKind::Cancelled, words)))
        })
    });
    next.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_under_way_ends_with_an_error_and_a_whole_one_as_it_is() {
        let closing = CancellationToken::new();
        let hanging = stream::iter([Ok(1), Ok(2)]).chain(stream::pending());
        let mut answer = until_closing(hanging.boxed(), closing.clone());
        assert_eq!(answer.next().await, Some(Ok(1)));
        assert_eq!(answer.next().await, Some(Ok(2)));
        closing.cancel();
        let last = answer.next().await.unwrap().unwrap_err();
        assert_eq!(last.kind, ModelErrorKind::Cancelled);
        assert_eq!(answer.next().await, None);

        let whole = until_closing(stream::iter([Ok(1)]).boxed(), closing);
        assert_eq!(whole.collect::<Vec<_>>().await, [Ok(1)]);
    }
}
