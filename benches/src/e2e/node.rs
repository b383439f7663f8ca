//! The receivers that run on node, from npm.

use std::{path::PathBuf, process::Command};

use crate::payload::SECRET;

/// Where they are.
fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/node")
}

/// Whether they can run here; if not, says why.
pub(super) fn is_there() -> bool {
    if directory().join("node_modules").is_dir() {
        return true;
    }
    let installed = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(directory())
        .stdout(std::process::Stdio::null())
        .status();
    match installed {
        Ok(status) if status.success() => true,
        Ok(status) => {
            eprintln!("left out: Express and fastify, since `npm ci` failed: {status}");
            false
        }
        Err(error) => {
            eprintln!("left out: Express and fastify, since npm does not start: {error}");
            false
        }
    }
}

pub(super) fn command(script: &str) -> Command {
    let mut command = Command::new("node");
    command
        .arg(script)
        .current_dir(directory())
        .env("NODE_ENV", "production")
        .env("CALLBACK_SECRET", SECRET);
    command
}
