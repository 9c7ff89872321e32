//! Carries a stream from the runtime of the core to the worker that answers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use majordomo_presentation_http::{ApiError, Core};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Pieces that may wait for a slow client before its upstream is made to wait, too.
const CAPACITY: usize = 64;
/// Pieces that are ready are joined until they have so many bytes.
const MAX_JOINED: usize = 64 * 1024;

/// The pieces of a stream that is read on the core. An upstream hands over its pieces one by one and each waking of another
/// thread costs more than a piece itself; so they are read where they arrive, and come over as many at a time as there
/// are. Dropping this drops the stream.
pub(super) struct Pumped {
    pieces: mpsc::Receiver<Result<Bytes, ApiError>>,
    /// What came after the pieces already given out.
    error: Option<ApiError>,
    reader: AbortHandle,
}

/// Reads `pieces` on the core. Cheapest when called there.
pub(super) fn pump(
    core: &Core,
    pieces: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static,
) -> Pumped {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let reader = core.spawn(async move {
        let mut pieces = std::pin::pin!(pieces);
        while let Some(piece) = pieces.next().await {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    Pumped {
        pieces: receiver,
        error: None,
        reader: reader.abort_handle(),
    }
}

impl Pumped {
    /// The next piece if it is there already.
    fn next_ready(&mut self) -> Option<Bytes> {
        if self.error.is_some() {
            return None;
        }
        match self.pieces.try_recv().ok()? {
            Ok(piece) => Some(piece),
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }
}

impl Drop for Pumped {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Stream for Pumped {
    type Item = Result<Bytes, ApiError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(error) = this.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let first = match ready!(this.pieces.poll_recv(context)) {
            Some(Ok(piece)) => piece,
            other => return Poll::Ready(other),
        };
        let Some(second) = this.next_ready() else {
            return Poll::Ready(Some(Ok(first)));
        };
        let mut all = BytesMut::with_capacity(4 * (first.len() + second.len()));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while all.len() < MAX_JOINED
            && let Some(piece) = this.next_ready()
        {
            all.extend_from_slice(&piece);
        }
        Poll::Ready(Some(Ok(all.freeze())))
    }
}
