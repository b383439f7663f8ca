//! The scripts: each decides and writes in one step, inside the server.

use std::sync::LazyLock;

use redis::{Cmd, Script, ToRedisArgs};

/// Flags of a script without any: inserts are refused as a whole where memory is used up.
const NONE: &str = "#!lua\n";
/// Settling and forgetting go on where memory is used up.
const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";
const NO_WRITES: &str = "#!lua flags=no-writes\n";

macro_rules! script {
    ($(#[$doc:meta])* $name:ident = $flags:ident, $file:literal) => {
        $(#[$doc])*
        pub(super) static $name: LazyLock<Text> =
            LazyLock::new(|| Text::new($flags, include_str!(concat!("lua/", $file))));
    };
}

script!(CHECK = NO_WRITES, "check.lua");
script!(INSERT = NONE, "insert.lua");
script!(
    /// Where memory is used up: what is known is told, and what is new is refused.
    INSERT_FULL = ALLOW_OOM, "insert.lua"
);
script!(LEASE = ALLOW_OOM, "lease.lua");
script!(SETTLE = ALLOW_OOM, "settle.lua");
script!(FIND = NO_WRITES, "find.lua");
script!(PURGE = ALLOW_OOM, "purge.lua");
script!(COUNTS = NO_WRITES, "counts.lua");
script!(QUEUES = NO_WRITES, "queues.lua");
script!(LIST = NO_WRITES, "list.lua");
script!(LOOK = NO_WRITES, "look.lua");
script!(OPERATE = ALLOW_OOM, "operate.lua");
#[cfg(any(test, feature = "testing"))]
script!(CLEAR = ALLOW_OOM, "clear.lua");

/// A script as the server is told it.
pub(super) struct Text {
    code: String,
    hash: String,
}

impl Text {
    fn new(flags: &str, body: &str) -> Self {
        let code = format!("{flags}{}{body}", include_str!("lua/prelude.lua"));
        let hash = Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }

    /// By its hash, which is all that is sent as a rule.
    pub(super) fn by_hash(&self, base: &str, args: &[Arg<'_>]) -> Cmd {
        call("EVALSHA", &self.hash, base, args)
    }

    /// In full, for a server that has forgotten it.
    pub(super) fn in_full(&self, base: &str, args: &[Arg<'_>]) -> Cmd {
        call("EVAL", &self.code, base, args)
    }
}

/// An argument of a script.
pub(super) enum Arg<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn call(command: &str, script: &str, base: &str, args: &[Arg<'_>]) -> Cmd {
    let mut cmd = redis::cmd(command);
    cmd.arg(script).arg(1).arg(base);
    for arg in args {
        match arg {
            Arg::Number(number) => number.write_redis_args(&mut cmd),
            Arg::Bytes(bytes) => bytes.write_redis_args(&mut cmd),
        }
    }
    cmd
}
