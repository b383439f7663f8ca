//! Puts the receiver on Express into a directory, with the versions of its lock file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};
use tower_callback::BoxError;

/// The longest that npm may take.
const PATIENCE: Duration = Duration::from_secs(40);

const FILES: [(&str, &str); 3] = [
    ("receiver.js", include_str!("express/receiver.js")),
    ("package.json", include_str!("express/package.json")),
    (
        "package-lock.json",
        include_str!("express/package-lock.json"),
    ),
];

/// The receiver's script. An error says what is missing.
pub(super) async fn install(directory: &Path) -> Result<PathBuf, BoxError> {
    for tool in ["node", "npm"] {
        if run(Command::new(tool).arg("--version")).await.is_err() {
            return Err(format!("there is no {tool} on this machine").into());
        }
    }
    for (name, content) in FILES {
        fs::write(directory.join(name), content)?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--prefer-offline", "--loglevel=error"])
        .current_dir(directory);
    run(&mut npm)
        .await
        .map_err(|error| format!("npm did not install Express: {error}"))?;
    Ok(directory.join("receiver.js"))
}

async fn run(command: &mut Command) -> Result<(), BoxError> {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let status = timeout(PATIENCE, command.status()).await??;
    match status.success() {
        true => Ok(()),
        false => Err(status.to_string().into()),
    }
}
