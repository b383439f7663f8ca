//! No window is overfull, and nobody waits for ever.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use proptest::prelude::*;

use super::*;

type Acquire<'a> = Pin<Box<dyn Future<Output = Permit<'a>> + 'a>>;

const WINDOW: Duration = Duration::from_secs(10);

fn acquire(limiter: &Limiter, lane: Lane) -> Acquire<'_> {
    Box::pin(limiter.acquire(lane))
}

fn poll<'a>(acquire: &mut Acquire<'a>) -> Option<Permit<'a>> {
    let mut cx = Context::from_waker(Waker::noop());
    match acquire.as_mut().poll(&mut cx) {
        Poll::Ready(permit) => Some(permit),
        Poll::Pending => None,
    }
}

#[test]
fn submissions_go_before_polls_that_waited_longer_and_each_in_their_order() {
    let hands = Clock::manual();
    let limiter = Limiter::new(1, WINDOW, hands.clock());
    drop(poll(&mut acquire(&limiter, Lane::Polls)).unwrap());
    let lanes = [
        Lane::Polls,
        Lane::Polls,
        Lane::Submissions,
        Lane::Submissions,
    ];
    let mut waiting = lanes.map(|lane| acquire(&limiter, lane));
    for waiting in &mut waiting {
        assert!(poll(waiting).is_none());
    }
    for next in [2, 3, 0, 1] {
        assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_none()));
        hands.advance(WINDOW);
        for other in (0..4).filter(|other| *other != next) {
            assert!(poll(&mut waiting[other]).is_none());
        }
        drop(poll(&mut waiting[next]).unwrap());
        // It is not asked again.
        waiting[next] = Box::pin(std::future::pending());
    }
}

#[test]
fn whoever_leaves_the_queue_takes_no_seat_and_lets_the_next_one_go() {
    let hands = Clock::manual();
    let limiter = Limiter::new(1, WINDOW, hands.clock());
    let first = poll(&mut acquire(&limiter, Lane::Polls)).unwrap();
    let mut left = acquire(&limiter, Lane::Submissions);
    let mut stayed = acquire(&limiter, Lane::Polls);
    assert!(poll(&mut left).is_none() && poll(&mut stayed).is_none());
    drop(first);
    hands.advance(WINDOW);
    drop(left);
    assert!(poll(&mut stayed).is_some());
    assert!(limiter.state().waiting.is_empty());
}

#[test]
fn a_seat_counts_from_the_answer_and_not_from_the_start() {
    let hands = Clock::manual();
    let limiter = Limiter::new(1, WINDOW, hands.clock());
    let slow = poll(&mut acquire(&limiter, Lane::Polls)).unwrap();
    let mut next = acquire(&limiter, Lane::Polls);
    hands.advance(2 * WINDOW);
    assert!(poll(&mut next).is_none());
    drop(slow);
    hands.advance(WINDOW - Duration::from_nanos(1));
    assert!(poll(&mut next).is_none());
    hands.advance(Duration::from_nanos(1));
    assert!(poll(&mut next).is_some());
}

#[test]
fn of_four_seats_one_is_a_polls_however_many_submissions_come() {
    let hands = Clock::manual();
    let limiter = Limiter::new(1, WINDOW, hands.clock());
    let mut polls = [(); 5].map(|()| acquire(&limiter, Lane::Polls));
    let mut submissions = [(); 20].map(|()| acquire(&limiter, Lane::Submissions));
    let mut seats = String::new();
    while seats.len() < 20 {
        hands.advance(WINDOW);
        for (lane, name) in [(&mut polls[..], 'p'), (&mut submissions[..], 's')] {
            for acquire in lane {
                if let Some(permit) = poll(acquire) {
                    seats.push(name);
                    drop(permit);
                    *acquire = Box::pin(std::future::pending());
                }
            }
        }
    }
    // The first poll found an empty queue.
    assert_eq!(seats, "pssspssspssspssspsss");
}

#[derive(Clone, Debug)]
enum Act {
    Enter(bool),
    Leave(usize),
    Answer(usize),
    Turn(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => any::<bool>().prop_map(Act::Enter),
        1 => any::<usize>().prop_map(Act::Leave),
        3 => any::<usize>().prop_map(Act::Answer),
        2 => (0..12_000_u64).prop_map(Act::Turn),
    ];
    proptest::collection::vec(act, 0..120)
}

proptest! {
    #[test]
    fn whatever_happens_no_window_is_overfull_and_nobody_waits_for_ever(
        most in 1..4_usize,
        acts in acts(),
    ) {
        let hands = Clock::manual();
        let limiter = Limiter::new(most, WINDOW, hands.clock());
        let mut waiting: Vec<(Lane, Acquire<'_>)> = Vec::new();
        // Submissions that went first since a poll did, or since none waited.
        let mut before_polls = 0;
        let mut sent: Vec<(Duration, Permit<'_>)> = Vec::new();
        // Between which times each request arrived.
        let mut arrived: Vec<(Duration, Duration)> = Vec::new();
        for act in acts {
            match act {
                Act::Enter(submission) => {
                    let lane = if submission { Lane::Submissions } else { Lane::Polls };
                    waiting.push((lane, acquire(&limiter, lane)));
                }
                Act::Leave(at) if !waiting.is_empty() => {
                    drop(waiting.swap_remove(at % waiting.len()));
                }
                Act::Answer(at) if !sent.is_empty() => {
                    let (start, permit) = sent.swap_remove(at % sent.len());
                    arrived.push((start, hands.elapsed()));
                    drop(permit);
                }
                Act::Turn(by) => hands.advance(Duration::from_millis(by)),
                Act::Leave(_) | Act::Answer(_) => {}
            }
            loop {
                let polls = waiting.iter().filter(|(lane, _)| *lane == Lane::Polls).count();
                let next = (waiting.iter_mut().enumerate())
                    .find_map(|(at, (lane, acquire))| Some((at, *lane, poll(acquire)?)));
                if polls == 0 {
                    before_polls = 0;
                }
                let Some((at, lane, permit)) = next else {
                    break;
                };
                sent.push((hands.elapsed(), permit));
                drop(waiting.remove(at));
                before_polls = if lane == Lane::Polls || polls == 0 { 0 } else { before_polls + 1 };
                prop_assert!(before_polls <= 3, "a poll waits behind {before_polls} submissions");
            }
            prop_assert!(sent.len() <= most);
        }
        arrived.extend(sent.iter().map(|(start, _)| (*start, hands.elapsed())));
        for (_, begin) in &arrived {
            // As late as they can be: all that may be in the window that begins there.
            let within = (arrived.iter())
                .filter(|(start, end)| end >= begin && *start < *begin + WINDOW);
            prop_assert!(within.count() <= most);
        }
        sent.clear();
        for _ in 0..=waiting.len() {
            hands.advance(WINDOW);
            waiting.retain_mut(|(_, acquire)| poll(acquire).is_none());
        }
        prop_assert!(waiting.is_empty());
    }
}
