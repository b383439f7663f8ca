//! Many submissions at once.

use tokio::task::JoinSet;

use crate::{
    bench::{Bench, SECOND, request, success},
    provider::SUCCESS,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_submissions_under_one_id_exactly_one_reaches_the_provider() {
    let bench = Bench::new();
    let running = bench.poll();
    // Two processes, so to speak.
    let submitters = [bench.submitter(), bench.submitter()];
    for round in 0..20 {
        let mut tasks = JoinSet::new();
        for n in 0..16 {
            let submitter = submitters[n % 2].clone();
            let id = format!("order-{round}");
            tasks.spawn(async move { submitter.submit(&request(), id).await.unwrap() });
        }
        let submissions = tasks.join_all().await;
        assert_eq!(bench.provider.submitted().len(), round + 1);
        let task = format!("task-{}", round + 1);
        let url = bench.provider.callback_url(round);
        running.call(&url, &success(&task)).await;
        for submission in submissions {
            let event = bench.turn_while(SECOND, submission.wait()).await.unwrap();
            assert_eq!(event, success(&task));
        }
    }
    assert_eq!(bench.until_handled(20).await.len(), 20);
}

#[tokio::test]
async fn thousands_of_open_tasks_are_all_asked_for_and_only_within_the_rate_limit() {
    let bench = Bench::new();
    let client = tower_callback::music_video::Client::builder(bench.provider.url(), "an-api-key")
        .with_clock(bench.hands.clock())
        .with_timeout(100 * crate::bench::HOUR)
        .with_rate_limit(200, 10 * SECOND)
        .dangerous()
        .allow_http()
        .build()
        .unwrap();
    let _running = bench.run(bench.builder().poll_with(client));
    bench.provider.show_all(SUCCESS);
    let submitter = bench.submitter();
    for n in 0..2000 {
        submitter.track(format!("task-{n}")).await.unwrap();
    }
    let begun = bench.hands.elapsed();
    let mut most = 0;
    let mut window = std::collections::VecDeque::new();
    bench
        .turn_until(SECOND / 2, async || {
            let (now, asked) = (bench.hands.elapsed(), bench.provider.asked_at_all());
            window.push_back((now, asked));
            while window
                .front()
                .is_some_and(|(then, _)| *then + 9 * SECOND < now)
            {
                window.pop_front();
            }
            most = most.max(asked - window.front().unwrap().1);
            bench.handled().len() == 2000
        })
        .await;
    assert!(most <= 200, "{most} in 9 s");
    assert_eq!(
        bench.provider.asked_at_all(),
        2000,
        "each was asked for once"
    );
    let took = bench.hands.elapsed() - begun;
    assert!(took >= 120 * SECOND + 90 * SECOND, "{took:?}");
}
