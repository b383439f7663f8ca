//! The receiver that this crate is for, on SQLite.

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tower_callback::{
    BoxError, Callbacks, Clock, Delivery, HandlerError, MusicVideo, SqliteStore, Token,
};

use super::{PATH, SECRET, Work};

/// An event that comes again may have been noted just before its process was killed.
async fn handle(work: Work, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
    let MusicVideo { task_id, code, .. } = &delivery.event;
    if delivery.attempt() == 1 || !work.is_done(task_id, *code).await? {
        work.act(task_id, *code).await?;
    }
    Ok(())
}

pub(super) async fn serve(listener: TcpListener, work: Work) -> Result<(), BoxError> {
    let store = SqliteStore::open(work.journal().with_extension("db")).await?;
    let speed = work.speed();
    let (callback, worker) =
        Callbacks::<MusicVideo>::new("music-video", Token::query("token", SECRET))
            .clock(Clock::scaled(speed))
            .store(store)
            .handle(move |delivery| handle(work.clone(), delivery))
            // Six real seconds, at any speed: a busy machine's pauses are real.
            .lease_ttl(Duration::from_secs(6) * speed)
            // There are kills here, and no event that kills.
            .suspect_limit(u32::MAX)
            .build()?;
    let worker = tokio::spawn(worker.run());
    let app = Router::new().route_service(PATH, callback);
    axum::serve(listener, app).await?;
    worker.abort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use tower_callback::testing::{Harness, callback};

    use super::{super::work::read, *};

    #[tokio::test]
    async fn what_was_noted_before_a_kill_is_not_done_again() {
        let directory = tempfile::tempdir().unwrap();
        let work = Work::new(&directory.path().join("journal"), 1000);
        let handler = work.clone();
        let test = Harness::handle(move |delivery: Delivery<MusicVideo>| {
            let (work, attempt) = (handler.clone(), delivery.attempt());
            async move {
                handle(work, delivery).await?;
                match attempt {
                    1 => Err("killed".into()),
                    _ => Ok(()),
                }
            }
        });
        test.receive(callback("task-1")).await;
        test.settled().await;
        test.assert_handled_once("task-1");
        assert_eq!(read(work.journal()).unwrap(), "task-1 200\n");
    }
}
