//! Real servers on loopback, private to the test's process: started from the machine's binaries, in
//! directories of their own, and gone when the process is.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a module of its own in each test, which uses its own part"
)]

#[path = "../support/ci.rs"]
mod ci;
#[cfg(feature = "postgres")]
pub mod postgres;
#[path = "../../examples/support/server.rs"]
pub mod process;
pub mod proxy;
#[cfg(feature = "redis")]
pub mod redis;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
};

pub use self::ci::cannot_run;

/// A port that nobody listens on, below those that the kernel gives to outgoing connections: a
/// server that is restarted finds it free again.
pub fn free_port() -> u16 {
    for _ in 0..1000 {
        let port = fastrand::u16(15_000..32_000);
        if TcpListener::bind(loopback(port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The program and the arguments that start a server, maybe as the last arguments of another program.
fn wrapped(wrapper: &[String], program: PathBuf, args: &[String]) -> (PathBuf, Vec<String>) {
    let [first, others @ ..] = wrapper else {
        return (program, args.to_vec());
    };
    let program = program.to_str().unwrap().to_owned();
    let others = others.iter().cloned().chain([program]);
    (
        PathBuf::from(first),
        others.chain(args.iter().cloned()).collect(),
    )
}
