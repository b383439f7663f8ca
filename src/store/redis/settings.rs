//! What a server must be set to, so that what it acknowledged is on its disk.

use std::{collections::HashMap, fmt::Write as _};

use redis::{RedisError, ServerErrorKind, aio::MultiplexedConnection};

use super::connect_error::{RedisConnectError, RedisConnectErrorKind};

/// Setting, value, and what any other value does.
const REQUIRED: [(&str, &str, &str); 4] = [
    (
        "appendonly",
        "yes",
        "what is acknowledged is in memory only",
    ),
    (
        "appendfsync",
        "always",
        "what is acknowledged is on disk a second later, or whenever the kernel likes",
    ),
    (
        "no-appendfsync-on-rewrite",
        "no",
        "nothing is synced while a file is rewritten",
    ),
    (
        "maxmemory-policy",
        "noeviction",
        "records are thrown away when memory is used up",
    ),
];

const CONFIG_FORBIDDEN: &str = "the Redis server does not tell its settings (`CONFIG GET` is forbidden or incomplete, as \
     on managed services), so nobody knows whether it keeps what it acknowledges: allow `CONFIG GET` to this user, or, if the \
     service promises that in another way, say `RedisStore::options().dangerous().trust_hidden_settings()`";

/// Fails where a setting is wrong, or where it is hidden and nobody said that it can be trusted.
pub(super) async fn check(
    conn: &mut MultiplexedConnection,
    trust_hidden: bool,
) -> Result<(), RedisConnectError> {
    check_role(conn).await?;
    let mut cmd = redis::cmd("CONFIG");
    cmd.arg("GET");
    for (name, ..) in REQUIRED {
        cmd.arg(name);
    }
    let settings: HashMap<String, String> = match cmd.query_async(conn).await {
        Ok(settings) => settings,
        Err(error) if is_refusal(&error) && trust_hidden => return Ok(()),
        Err(error) if is_refusal(&error) => {
            return Err(hidden().with_source(error));
        }
        Err(error) => return Err(RedisConnectError::unreachable(error)),
    };
    let wrong = wrong(&settings);
    if !wrong.is_empty() {
        return Err(RedisConnectError::new(
            RedisConnectErrorKind::Settings,
            format!("the Redis server would lose what it acknowledged: {wrong}"),
        ));
    }
    let all_told = REQUIRED
        .iter()
        .all(|(name, ..)| settings.contains_key(*name));
    if all_told || trust_hidden {
        Ok(())
    } else {
        Err(hidden())
    }
}

fn hidden() -> RedisConnectError {
    RedisConnectError::new(RedisConnectErrorKind::HiddenSettings, CONFIG_FORBIDDEN)
}

/// Every setting that is told and wrong.
fn wrong(settings: &HashMap<String, String>) -> String {
    let mut text = String::new();
    for (name, right, or_else) in REQUIRED {
        if let Some(is) = settings.get(name)
            && is != right
        {
            let separator = if text.is_empty() { "" } else { "; " };
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "{separator}`{name}` is `{is}`, so that {or_else}: set it to `{right}` (`CONFIG SET {name} {right}`, \
                 and in redis.conf)"
            );
        }
    }
    text
}

async fn check_role(conn: &mut MultiplexedConnection) -> Result<(), RedisConnectError> {
    let role: Result<redis::Value, _> = redis::cmd("ROLE").query_async(conn).await;
    let role = match role {
        Ok(redis::Value::Array(role)) => role.into_iter().next(),
        Err(error) if !is_refusal(&error) => return Err(RedisConnectError::unreachable(error)),
        // Whoever may not know it finds out by the first write.
        Ok(_) | Err(_) => None,
    };
    match role {
        Some(redis::Value::BulkString(role)) if role != b"master" => Err(RedisConnectError::new(
            RedisConnectErrorKind::Replica,
            "the Redis server is a replica, which takes no writes: name its primary",
        )),
        _ => Ok(()),
    }
}

/// The server understood, and will not: a command that is renamed, unknown or not permitted.
fn is_refusal(error: &RedisError) -> bool {
    match error.kind() {
        redis::ErrorKind::Server(kind) => {
            matches!(
                kind,
                ServerErrorKind::NoPerm | ServerErrorKind::ResponseError
            )
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: Option<(&str, &str)>) -> HashMap<String, String> {
        let right = REQUIRED.map(|(name, right, _)| (name, right));
        right
            .into_iter()
            .chain(change)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn each_wrong_setting_is_named_with_what_it_has_to_be() {
        assert_eq!(wrong(&settings(None)), "");
        for (name, right, _) in REQUIRED {
            let text = wrong(&settings(Some((name, "other"))));
            assert!(text.starts_with(&format!("`{name}` is `other`")), "{text}");
            assert!(
                text.contains(&format!("`CONFIG SET {name} {right}`")),
                "{text}"
            );
            assert_eq!(text.matches("CONFIG SET").count(), 1, "{text}");
        }
    }
}
