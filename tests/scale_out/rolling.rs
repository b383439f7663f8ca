//! A new version is rolled out while callbacks come.

use std::{sync::atomic::Ordering, time::Duration};

use libtest_mimic::Trial;

use crate::{
    calls::Calls,
    effects::Effects,
    engine::{Kind, Server},
    fleet::{FRONTS, Fleet, Style, WORKERS},
    judge, report,
};

/// Callbacks that come between two restarts, at least.
const BETWEEN: usize = 50;

pub(crate) fn trials() -> Vec<Trial> {
    crate::trials(
        "a_rolling_restart_is_answered_with_200_or_a_503_that_heals",
        run,
    )
}

/// Ends everybody in order, one after the other, and starts him again: twice.
///
/// In the first round, nobody takes a front out of a load balancer first. A caller who finds nobody
/// there, or whose connection is closed without an answer, tries another front: that is counted, and
/// is wrong where the front was not being restarted. In the second round somebody does, as is usual,
/// and nobody gets anything but an answer.
async fn run(kind: Kind) -> Result<(), String> {
    let server = Server::start(kind).await;
    let style = Style {
        // Whoever ends in order gives back what he has: nothing comes again by expiry.
        lease_ttl: Duration::from_secs(60),
        handler: Duration::from_millis(20),
        failing: 0,
        ack_deadline: Duration::from_secs(10),
        spooled: false,
    };
    let mut fleet = Fleet::start(&server, &style).await;
    let direct = server.open().await;
    let calls = Calls::begin(&fleet.ways, 8, Duration::from_millis(20));
    calls.allow(usize::MAX);

    for balanced in [false, true] {
        for number in 0..fleet.members.len() {
            calls.begun(calls.count() + BETWEEN).await;
            let way = fleet.ways.get(number).cloned();
            match &way {
                Some(way) if balanced => way.turn.take_out().await,
                Some(way) => way.away.store(true, Ordering::SeqCst),
                None => {}
            }
            let member = &mut fleet.members[number];
            member.terminate().await;
            member.start();
            member.serving().await;
            if let Some(way) = way {
                way.away.store(false, Ordering::SeqCst);
                way.turn.put_back();
            }
        }
    }
    calls.begun(calls.count() + BETWEEN).await;
    let seen = calls.end(0).await;
    let drained = direct.drained(seen.acknowledged.len()).await;
    fleet.stop().await;
    let effects = Effects::of(&direct, &fleet.journal(), &seen.acknowledged).await;

    let report = report(
        &format!("rolling restart on {}", kind.name()),
        &[
            ("fronts restarted", 2 * FRONTS as u64),
            ("workers restarted", 2 * WORKERS as u64),
            ("callbacks answered with 200", seen.callbacks as u64),
            ("attempts answered with 503", seen.status(503)),
            ("attempts answered otherwise", seen.other_than(&[200, 503])),
            ("  refused by a front on its way", seen.refused),
            ("  broken off by a front on its way", seen.broken),
            ("  the same by a front that serves", seen.unexpected),
            ("acknowledged events lost", effects.lost),
            ("events handled twice", effects.handled_twice),
        ],
    );
    println!("{report}");
    let mut wrongs = effects.wrongs_where_no_lease_is_lost(kind);
    wrongs.extend(drained.err());
    if effects.in_vain > 0 {
        // By a worker that did not wait for them.
        wrongs.push(format!("{} handlers were begun in vain", effects.in_vain));
    }
    if seen.other_than(&[200, 503]) > 0 {
        wrongs.push(format!("there were other answers: {:?}", seen.statuses));
    }
    if seen.unexpected > 0 {
        wrongs.push("a front that was serving did not answer".to_owned());
    }
    judge(&report, &wrongs)
}
