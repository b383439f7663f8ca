//! The engine is away for longer than callers are patient, with a spool in front of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use tokio::time::sleep;

use crate::{
    calls::Calls,
    effects::Effects,
    engine::{Kind, Server},
    fleet::{FRONTS, Fleet, Style},
    judge, number, report,
};

const BEFORE: usize = 50;

pub(crate) fn trials() -> Vec<Trial> {
    crate::trials("an_outage_behind_a_spool_is_answered_with_200", run)
}

/// The engine hangs at first, and is not there then.
async fn run(kind: Kind) -> Result<(), String> {
    let whole = if number("EVENTS").is_some() { 30 } else { 5 };
    let outage = Duration::from_secs(number("OUTAGE").unwrap_or(whole));
    let server = Arc::new(Server::start(kind).await);
    let style = Style {
        // Longer than the outage: no worker loses what it was at.
        lease_ttl: 2 * outage + Duration::from_secs(30),
        handler: Duration::from_millis(20),
        failing: 0,
        ack_deadline: Duration::from_secs(10),
        spooled: true,
    };
    let mut fleet = Fleet::start(&server, &style).await;
    let calls = Calls::begin(&fleet.ways, 8, Duration::from_millis(20));
    calls.allow(usize::MAX);
    calls.begun(BEFORE).await;

    let start = Instant::now();
    for member in &fleet.members {
        member.proxy.stall();
    }
    sleep(outage / 3).await;
    let here = Arc::clone(&server);
    tokio::task::spawn_blocking(move || here.crash())
        .await
        .unwrap();
    for member in &fleet.members {
        member.proxy.pass();
    }
    sleep(outage.saturating_sub(start.elapsed())).await;
    let during = calls.count();
    let here = Arc::clone(&server);
    tokio::task::spawn_blocking(move || here.run())
        .await
        .unwrap();
    let away = start.elapsed();
    calls.begun(during + BEFORE).await;
    let seen = calls.end(0).await;
    let direct = server.open().await;
    let drained = direct.drained(seen.acknowledged.len()).await;
    fleet.stop().await;
    let effects = Effects::of(&direct, &fleet.journal(), &seen.acknowledged).await;

    let report = report(
        &format!(
            "outage of {}, {FRONTS} fronts with a spool each",
            kind.name()
        ),
        &[
            (
                "milliseconds away",
                u64::try_from(away.as_millis()).unwrap(),
            ),
            ("callbacks until its end", during as u64),
            ("callbacks answered with 200", seen.callbacks as u64),
            ("attempts answered otherwise", seen.other_than(&[200])),
            ("attempts not answered", seen.refused + seen.broken),
            ("acknowledged events lost", effects.lost),
            ("events handled twice", effects.handled_twice),
            ("effects applied", effects.applied),
            ("effects applied twice", effects.applied_twice),
        ],
    );
    println!("{report}");
    let mut wrongs = effects.wrongs_where_no_lease_is_lost(kind);
    wrongs.extend(drained.err());
    if seen.other_than(&[200]) > 0 || seen.refused + seen.broken > 0 {
        wrongs.push(format!(
            "not everything was answered with 200: {:?}",
            seen.statuses
        ));
    }
    if during < 2 * BEFORE {
        wrongs.push("there was hardly a callback during the outage".to_owned());
    }
    judge(&report, &wrongs)
}
