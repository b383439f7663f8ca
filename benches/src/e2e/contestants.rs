//! Who takes part, and in what.

use super::traffic::Traffic;
use crate::serve::Receiver;

/// Where a receiver keeps what it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Nowhere,
    File,
    Postgres,
    Redis,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    Ours(Receiver),
    Node(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    pub(crate) place: Place,
    pub(crate) traffic: &'static [Traffic],
    /// Whether a wrong token is refused.
    pub(crate) refuses: bool,
}

use Traffic::{BadToken, Foreign, Many, Repeats, Same, Unique};

const CALLBACKS: &[Traffic] = &[Unique, Same, BadToken, Repeats];
const TABLES: &[Traffic] = &[Unique, Same, BadToken, Repeats, Many];
const DURABLE: &[Traffic] = &[Unique, Same, Repeats];

pub(crate) const ALL: &[Contestant] = &[
    Contestant {
        name: "bare hyper",
        program: Program::Ours(Receiver::Bare),
        place: Place::Nowhere,
        traffic: &[Unique, Same, BadToken, Repeats, Foreign, Many],
        refuses: false,
    },
    receiver("ours, memory", Receiver::Memory, Place::Nowhere, TABLES),
    receiver(
        "ours, memory, in axum",
        Receiver::MemoryInAxum,
        Place::Nowhere,
        CALLBACKS,
    ),
    receiver(
        "ours, memory, around the app",
        Receiver::MemoryLayer,
        Place::Nowhere,
        &[Unique, Foreign],
    ),
    receiver(
        "ours, memory, with worker",
        Receiver::MemoryWorker,
        Place::Nowhere,
        &[Unique],
    ),
    receiver(
        "hyper by hand",
        Receiver::HandWritten,
        Place::Nowhere,
        TABLES,
    ),
    receiver("axum, `Json`", Receiver::Axum, Place::Nowhere, CALLBACKS),
    node("fastify", "fastify.js"),
    node("Express", "express.js"),
    receiver("ours, SQLite", Receiver::Sqlite, Place::File, DURABLE),
    receiver(
        "ours, SQLite, with worker",
        Receiver::SqliteWorker,
        Place::File,
        &[Unique],
    ),
    receiver(
        "SQLite by hand",
        Receiver::HandWrittenSqlite,
        Place::File,
        DURABLE,
    ),
    receiver(
        "append-only file",
        Receiver::HandWrittenAppend,
        Place::File,
        &[Unique],
    ),
    receiver(
        "ours, Postgres",
        Receiver::Postgres,
        Place::Postgres,
        DURABLE,
    ),
    receiver(
        "ours, Postgres, with worker",
        Receiver::PostgresWorker,
        Place::Postgres,
        &[Unique],
    ),
    receiver("ours, Redis", Receiver::Redis, Place::Redis, DURABLE),
    receiver(
        "ours, Redis, with worker",
        Receiver::RedisWorker,
        Place::Redis,
        &[Unique],
    ),
];

const fn receiver(
    name: &'static str,
    receiver: Receiver,
    place: Place,
    traffic: &'static [Traffic],
) -> Contestant {
    Contestant {
        name,
        program: Program::Ours(receiver),
        place,
        traffic,
        refuses: true,
    }
}

const fn node(name: &'static str, script: &'static str) -> Contestant {
    Contestant {
        name,
        program: Program::Node(script),
        place: Place::Nowhere,
        traffic: CALLBACKS,
        refuses: true,
    }
}
