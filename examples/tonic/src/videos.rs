//! The service's own work: it knows which videos are ready. The handler writes that, a gRPC method
//! reads it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tonic::{Request, Response, Status};
use tower_callback::{Delivery, Handler, HandlerError, MusicVideo, music_video::Outcome};

use crate::videos_server::Videos;

#[derive(Clone, PartialEq, prost::Message)]
pub struct FindRequest {
    #[prost(string, tag = "1")]
    pub task_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FindReply {
    #[prost(string, tag = "1")]
    pub video_url: String,
}

#[derive(Clone, Debug, Default)]
pub struct Library(Arc<Mutex<HashMap<String, String>>>);

impl Library {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler<MusicVideo> for Library {
    async fn handle(&self, delivery: Delivery<MusicVideo>) -> Result<(), HandlerError> {
        let event = delivery.event;
        if let Outcome::Succeeded { video_url } = event.outcome {
            self.lock().insert(event.task_id, video_url);
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Videos for Library {
    async fn find(&self, request: Request<FindRequest>) -> Result<Response<FindReply>, Status> {
        let task = request.into_inner().task_id;
        match self.lock().get(&task).cloned() {
            Some(video_url) => Ok(Response::new(FindReply { video_url })),
            None => Err(Status::not_found("no video yet")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tower_callback::testing::{Harness, callback};

    use super::*;

    #[tokio::test]
    async fn a_video_is_found_once_its_success_was_handled() {
        let library = Library::default();
        let test = Harness::handler(library.clone());
        let task_id = "task-1".to_owned();
        test.receive(callback("task-1").failed(500, "later")).await;
        test.settled().await;
        let request = || {
            Request::new(FindRequest {
                task_id: task_id.clone(),
            })
        };
        library.find(request()).await.unwrap_err();

        test.receive(callback("task-1")).await;
        test.settled().await;
        let found = library.find(request()).await.unwrap().into_inner();
        assert!(found.video_url.ends_with("task-1.mp4"));
    }
}
