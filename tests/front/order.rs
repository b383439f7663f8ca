//! Failure after success and success after failure, in every state of the first.

use std::time::Duration;

use tower_callback::store::{Action, Queue, Settlement, State, Store};

use crate::{
    NAME, Rig, rig,
    support::{FAILURE, SUCCESS},
};

/// Brings the one event that waits into a state.
async fn bring_into(rig: &Rig, state: State) {
    if state == State::Pending {
        return;
    }
    let queue = Queue::events(NAME);
    let mut leased = rig
        .store
        .lease(&queue, 1, Duration::from_secs(60))
        .await
        .unwrap();
    let lease = leased.remove(0).lease;
    let action = match state {
        State::Done => Action::Done,
        State::Dead => Action::Dead {
            reason: "test".to_owned(),
        },
        _ => return,
    };
    rig.store
        .settle(&[Settlement::new(lease, action)])
        .await
        .unwrap();
}

const STATES: [State; 4] = [State::Pending, State::Leased, State::Done, State::Dead];

#[tokio::test]
async fn a_success_after_a_failure_wins_in_every_state() {
    for state in STATES {
        let rig = rig().await;
        assert_eq!(rig.send(FAILURE).await, 200);
        bring_into(&rig, state).await;
        assert_eq!(rig.send(SUCCESS).await, 200);
        let found = rig
            .store
            .find(&Queue::events(NAME), b"task-1")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.rank, 1, "{state:?}");
        assert_eq!(rig.stored("task-1").await.unwrap(), SUCCESS, "{state:?}");
        let after = if state == State::Leased {
            State::Leased
        } else {
            State::Pending
        };
        assert_eq!(found.state, after, "{state:?}");
    }
}

#[tokio::test]
async fn a_failure_after_a_success_changes_nothing_in_any_state() {
    for state in STATES {
        let rig = rig().await;
        assert_eq!(rig.send(SUCCESS).await, 200);
        bring_into(&rig, state).await;
        assert_eq!(rig.send(FAILURE).await, 200, "the provider need not know");
        let found = rig
            .store
            .find(&Queue::events(NAME), b"task-1")
            .await
            .unwrap()
            .unwrap();
        assert_eq!((found.rank, found.state), (1, state));
        assert_eq!(rig.stored("task-1").await.unwrap(), SUCCESS, "{state:?}");
    }
}
