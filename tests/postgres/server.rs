//! The servers that the tests start are what they say.

use libtest_mimic::Trial;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, query};

use crate::{
    servers::{
        postgres::{Bouncer, Postgres, Stop, missing_bouncer, options},
        proxy::{Proxy, Way},
    },
    trial, trial_that_needs,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_server_keeps_its_data_through_a_restart", restart),
        trial("a_proxy_cuts_in_the_middle_of_an_answer", cut),
        trial_that_needs(
            "a_bouncer_shares_one_connection_in_transaction_mode",
            missing_bouncer,
            bouncer,
        ),
    ]
}

async fn restart() {
    let server = Postgres::start(&[]);
    let database = server.database().await;
    let mut conn = server.options(&database).connect().await.unwrap();
    conn.execute("CREATE TABLE kept AS SELECT 7 AS n")
        .await
        .unwrap();
    server.restart(Stop::Immediate);
    assert!(conn.ping().await.is_err(), "the old session is over");
    let mut conn = server.options(&database).connect().await.unwrap();
    let row = query("SELECT n FROM kept").fetch_one(&mut conn);
    assert_eq!(row.await.unwrap().get::<i32, _>(0), 7);
}

async fn cut() {
    let server = Postgres::shared();
    let proxy = Proxy::to(server.address());
    let through = options(proxy.address(), "postgres");
    for (way, bytes) in [(Way::Answer, 0), (Way::Answer, 20), (Way::Request, 5)] {
        let mut conn = through.connect().await.unwrap();
        conn.ping().await.unwrap();
        proxy.cut_after(way, bytes);
        assert!(conn.execute("SELECT 1").await.is_err(), "{way:?} {bytes}");
        assert!(!proxy.will_cut());
    }
    through.connect().await.unwrap().ping().await.unwrap();
    proxy.refuse();
    assert!(through.connect().await.is_err());
    proxy.pass();
    through.connect().await.unwrap().ping().await.unwrap();
}

async fn bouncer() {
    let server = Postgres::shared();
    let bouncer = Bouncer::start(server, "default_pool_size = 1");
    let through = options(bouncer.address(), "postgres").statement_cache_capacity(0);
    let mut backends = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut conn = through.connect().await.unwrap();
        let row = query("SELECT pg_backend_pid()")
            .persistent(false)
            .fetch_one(&mut conn);
        backends.push(row.await.unwrap().get::<i32, _>(0));
        clients.push(conn);
    }
    assert_eq!(backends[0], backends[1], "two clients, one backend");
}
