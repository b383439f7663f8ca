//! Private servers, the ones that the tests start.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
};

#[path = "../../tests/servers/postgres.rs"]
#[allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "shared with the tests"
)]
pub(crate) mod postgres;
#[path = "../../examples/support/server.rs"]
pub(crate) mod process;
#[path = "../../tests/servers/redis.rs"]
#[allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "shared with the tests"
)]
pub(crate) mod redis;

fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(loopback(*port)).is_ok();
    let ports = std::iter::repeat_with(|| fastrand::u16(15_000..32_000));
    ports.take(1000).find(free).expect("a port is free")
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// As the tests start it: behind another program, where they say so.
fn wrapped(wrapper: &[String], program: PathBuf, args: &[String]) -> (PathBuf, Vec<String>) {
    let [first, others @ ..] = wrapper else {
        return (program, args.to_vec());
    };
    let program = program.to_str().expect("a path of this machine").to_owned();
    let others = others.iter().cloned().chain([program]);
    (
        PathBuf::from(first),
        others.chain(args.iter().cloned()).collect(),
    )
}

/// A PostgreSQL, or why there is none.
pub(crate) fn postgres() -> Option<postgres::Postgres> {
    if let Some(reason) = postgres::missing() {
        eprintln!("left out: {reason}");
        return None;
    }
    // What a service with this much to do is given; none of it weakens what a commit means.
    let settings = [("shared_buffers", "1GB"), ("max_wal_size", "8GB")];
    Some(postgres::Postgres::start(&settings))
}

/// A Redis, or why there is none.
pub(crate) fn redis() -> Option<redis::Redis> {
    if let Some(reason) = redis::missing() {
        eprintln!("left out: {reason}");
        return None;
    }
    Some(redis::Redis::start(&[]))
}
