//! The hop to the runtime of the services.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use majordomo_application::error::INTERNAL_MESSAGE;
use majordomo_presentation_http::{ApiError, Core, ErrorClass};
use tokio::sync::oneshot;

fn core() -> Core {
    Core::new(tokio::runtime::Handle::current())
}

#[tokio::test]
async fn work_answers_or_fails_in_its_own_words() {
    let answer: Result<u32, ApiError> = core().run(async { Ok::<_, ApiError>(7) }).await;
    assert_eq!(answer.unwrap(), 7);
    let failed: Result<u32, ApiError> = core()
        .run(async { Err(ApiError::new(ErrorClass::Conflict, "busy", "Busy")) })
        .await;
    assert_eq!(failed.unwrap_err().code(), "busy");
}

#[tokio::test]
async fn a_panic_is_an_internal_failure_that_shows_nothing() {
    let failed: Result<(), ApiError> = core()
        .run(async {
            if true {
                panic!("the secret is 42")
            } else {
                Ok::<_, ApiError>(())
            }
        })
        .await;
    let error = failed.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Internal);
    assert_eq!(error.message(), INTERNAL_MESSAGE);
}

#[tokio::test]
async fn dropping_the_wait_does_not_drop_the_work() {
    let done = Arc::new(AtomicBool::new(false));
    let (go, gone) = oneshot::channel::<()>();
    let (finished, end) = oneshot::channel::<()>();
    let seen = done.clone();
    let core = core();
    let wait = core.run(async move {
        let _ = gone.await;
        seen.store(true, Ordering::SeqCst);
        let _ = finished.send(());
        Ok::<_, ApiError>(())
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(20), wait)
            .await
            .is_err()
    );
    go.send(()).unwrap();
    end.await.unwrap();
    assert!(done.load(Ordering::SeqCst));
}

#[tokio::test]
async fn dropping_the_wait_of_cancellable_work_drops_it() {
    let (alive, dropped) = oneshot::channel::<()>();
    let core = core();
    let wait = core.run_cancellable(async move {
        let _alive = alive;
        std::future::pending::<()>().await;
        Ok::<_, ApiError>(())
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(20), wait)
            .await
            .is_err()
    );
    assert!(
        dropped.await.is_err(),
        "the sender was dropped with the work"
    );
}
