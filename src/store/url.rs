//! A store that is named by a URL.

#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::{fmt, str::FromStr};

#[cfg(feature = "sqlite")]
use super::SqliteStore;
use super::{AnyInspect, OpenError, OpenErrorKind};
#[cfg(feature = "postgres")]
use super::{PostgresOptions, PostgresStore};
#[cfg(feature = "redis")]
use super::{RedisOptions, RedisStore};

/// Where a store is, for operators and their tools: `sqlite:callbacks.db`, `postgres://…` or `redis://…`,
/// as far as the features are there.
///
/// ```no_run
/// use tower_callback::store::{StoreUrl, inspect::Inspect};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = "sqlite:callbacks.db".parse::<StoreUrl>()?.open().await?;
/// for queue in store.queues().await? {
///     println!("{queue:?}: {:?}", store.counts(&queue).await?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Security
///
/// A URL may hold a password. `Debug` shows the kind of the store alone, and no error repeats it.
#[derive(Clone)]
pub struct StoreUrl {
    place: Place,
    name: Option<String>,
}

#[derive(Clone)]
enum Place {
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(String),
    #[cfg(feature = "redis")]
    Redis(String),
}

impl StoreUrl {
    /// Another one than the default of the stores in that place: the schema in PostgreSQL
    /// (`tower_callback`), the store's name in Redis (`tower-callback`). A SQLite file holds one store, and
    /// has no names.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Opens what is there, as it is: nothing is made and nothing is upgraded, so that a mistyped URL makes
    /// no store, and a tool of a later release changes no tables under a service. (Redis has nothing
    /// to make: a store without records is there always.)
    ///
    /// # Errors
    ///
    /// See [`OpenErrorKind`].
    pub async fn open(&self) -> Result<AnyInspect, OpenError> {
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::Sqlite(path) => {
                self.refuse_name()?;
                let store = SqliteStore::options().open_present(path).await?;
                Ok(AnyInspect::new(store))
            }
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => {
                let store = self.postgres().only_present().open(url).await?;
                Ok(AnyInspect::new(store))
            }
            #[cfg(feature = "redis")]
            Place::Redis(url) => match self.redis().connect(url).await {
                Ok(store) => Ok(AnyInspect::new(store)),
                Err(error) => Err(error.into_open_error()),
            },
        }
    }

    #[cfg(feature = "sqlite")]
    fn refuse_name(&self) -> Result<(), OpenError> {
        match self.name {
            None => Ok(()),
            Some(_) => Err(OpenError::new(
                OpenErrorKind::Invalid,
                "a SQLite file holds one store, which has no name: leave it out",
            )),
        }
    }

    #[cfg(feature = "postgres")]
    fn postgres(&self) -> PostgresOptions {
        // Few connections: whoever looks in must not take them from those that work.
        let options = PostgresStore::options().with_connections(4);
        match &self.name {
            Some(name) => options.with_schema(name),
            None => options,
        }
    }

    #[cfg(feature = "redis")]
    fn redis(&self) -> RedisOptions {
        match &self.name {
            Some(name) => RedisStore::options().with_name(name),
            None => RedisStore::options(),
        }
    }
}

/// For scratch stores, beside those that are there.
#[cfg(any(test, feature = "testing"))]
impl StoreUrl {
    /// A place beside this one that nothing else has, and that is known by this mark.
    pub(crate) fn beside(&self, mark: &str) -> Self {
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::Sqlite(path) => {
                let mut path = path.clone().into_os_string();
                path.push(format!("-{mark}"));
                Self {
                    place: Place::Sqlite(path.into()),
                    name: None,
                }
            }
            #[cfg(feature = "postgres")]
            Place::Postgres(_) => self.clone().with_name(mark.replace('-', "_")),
            #[cfg(feature = "redis")]
            Place::Redis(_) => self.clone().with_name(mark),
        }
    }

    /// Opens it, and makes it if it is not there.
    pub(crate) async fn make(&self, capacity: Option<u64>) -> Result<AnyInspect, OpenError> {
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::Sqlite(path) => {
                let options = SqliteStore::options();
                let options = match capacity {
                    Some(records) => options.with_capacity(records),
                    None => options,
                };
                Ok(AnyInspect::new(options.open(path).await?))
            }
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => {
                let options = match capacity {
                    Some(records) => self.postgres().with_capacity(records),
                    None => self.postgres(),
                };
                Ok(AnyInspect::new(options.open(url).await?))
            }
            #[cfg(feature = "redis")]
            Place::Redis(url) => {
                let options = match capacity {
                    Some(records) => self.redis().with_capacity(records),
                    None => self.redis(),
                };
                let store = options.connect(url).await;
                Ok(AnyInspect::new(
                    store.map_err(|error| error.into_open_error())?,
                ))
            }
        }
    }

    /// Removes it, with all that is in it.
    pub(crate) async fn remove(&self) -> Result<(), OpenError> {
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::Sqlite(path) => {
                for end in ["", "-wal", "-shm"] {
                    let mut file = path.clone().into_os_string();
                    file.push(end);
                    match std::fs::remove_file(&file) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(OpenError::io("a file cannot be removed", error).at(path));
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => {
                super::postgres::drop_schema(url, self.name.as_deref().unwrap_or_default()).await
            }
            #[cfg(feature = "redis")]
            Place::Redis(url) => match self.redis().connect(url).await {
                Ok(store) => store
                    .clear()
                    .await
                    .map_err(|error| OpenError::io("the keys of a store cannot be removed", error)),
                Err(error) => Err(error.into_open_error()),
            },
        }
    }

    /// As it was given, and the name: for another process of this very program.
    pub(crate) fn to_words(&self) -> String {
        let url = match &self.place {
            #[cfg(feature = "sqlite")]
            Place::Sqlite(path) => format!("sqlite:{}", path.display()),
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => url.clone(),
            #[cfg(feature = "redis")]
            Place::Redis(url) => url.clone(),
        };
        format!("{url}\n{}", self.name.as_deref().unwrap_or_default())
    }

    /// From [`to_words`](Self::to_words).
    pub(crate) fn from_words(words: &str) -> Result<Self, OpenError> {
        let (url, name) = words.split_once('\n').unwrap_or((words, ""));
        let url: Self = url.parse()?;
        Ok(match name {
            "" => url,
            name => url.with_name(name),
        })
    }
}

/// Those of all stores, whether the features are there or not.
const SCHEMES: [&str; 5] = ["sqlite", "postgres", "postgresql", "redis", "rediss"];

impl FromStr for StoreUrl {
    type Err = OpenError;

    /// # Errors
    ///
    /// When it is none. The error does not repeat it.
    fn from_str(url: &str) -> Result<Self, OpenError> {
        let invalid = |detail: &str| OpenError::new(OpenErrorKind::Invalid, detail);
        let scheme = url.split_once(':').map(|(scheme, _)| scheme);
        let place = match scheme {
            #[cfg(feature = "sqlite")]
            Some("sqlite") => {
                let path = &url["sqlite:".len()..];
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() {
                    return Err(invalid("the URL names no file: `sqlite:callbacks.db`"));
                }
                Place::Sqlite(path.into())
            }
            #[cfg(feature = "postgres")]
            Some("postgres" | "postgresql") => Place::Postgres(url.to_owned()),
            #[cfg(feature = "redis")]
            Some("redis" | "rediss") => Place::Redis(url.to_owned()),
            Some(scheme) if SCHEMES.contains(&scheme) => {
                return Err(invalid(
                    "the feature for stores of this kind is not there: `sqlite`, `postgres` or `redis`",
                ));
            }
            _ => {
                return Err(invalid(
                    "the URL is none of a store: `sqlite:callbacks.db`, `postgres://…` or `redis://…`",
                ));
            }
        };
        Ok(Self { place, name: None })
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.place {
            #[cfg(feature = "sqlite")]
            Place::Sqlite(_) => "sqlite",
            #[cfg(feature = "postgres")]
            Place::Postgres(_) => "postgres",
            #[cfg(feature = "redis")]
            Place::Redis(_) => "redis",
        };
        f.debug_struct("StoreUrl")
            .field("kind", &kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_none_is_told_and_never_repeated() {
        for url in [
            "mysql://u:s3cret@h/db",
            "s3cret.db",
            "",
            "sqlite:",
            "sqlite://",
        ] {
            let error = url.parse::<StoreUrl>().unwrap_err();
            assert_eq!(error.kind(), OpenErrorKind::Invalid, "{url}");
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_password_is_not_shown() {
        let url: StoreUrl = "postgres://u:s3cret@h/db".parse().unwrap();
        let shown = format!("{:?}", url.with_name("schema"));
        assert!(
            shown.contains("schema") && !shown.contains("s3cret"),
            "{shown}"
        );
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn nothing_is_made_where_nothing_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("callbacks.db");
        let url: StoreUrl = format!("sqlite:{}", path.display()).parse().unwrap();
        let missing = || async { url.open().await.unwrap_err().kind() };
        assert_eq!(missing().await, OpenErrorKind::Missing);
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        assert_eq!(missing().await, OpenErrorKind::Missing);
        assert_eq!(
            std::fs::read(&path).unwrap(),
            b"",
            "an empty file is an empty database"
        );

        std::fs::remove_file(&path).unwrap();
        drop(SqliteStore::open(&path).await.unwrap());
        url.open().await.unwrap();
        let named = url.clone().with_name("other").open().await.unwrap_err();
        assert_eq!(named.kind(), OpenErrorKind::Invalid);
    }
}
