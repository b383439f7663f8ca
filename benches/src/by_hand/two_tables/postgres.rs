use std::io;

use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::runtime::{Builder, Runtime};

use super::{Record, TwoTables};

/// One connection, which is used without async code around it.
pub(crate) struct PostgresTables {
    runtime: Runtime,
    connection: PgConnection,
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS seen (k BYTEA PRIMARY KEY, state SMALLINT NOT NULL);
CREATE TABLE IF NOT EXISTS inbox (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    due TIMESTAMPTZ NOT NULL, attempt INT NOT NULL, token UUID, k BYTEA NOT NULL, body BYTEA NOT NULL);
CREATE INDEX IF NOT EXISTS due ON inbox (due, seq);";

const INSERT: &str = "
WITH given AS (SELECT * FROM unnest($1::bytea[], $2::bytea[]) AS given (k, body)),
fresh AS (INSERT INTO seen SELECT k, 0 FROM given ON CONFLICT DO NOTHING RETURNING k)
INSERT INTO inbox (due, attempt, k, body)
SELECT clock_timestamp(), 0, k, body FROM given JOIN fresh USING (k)";

const LEASE: &str = "
WITH next AS (SELECT seq FROM inbox WHERE due <= (SELECT clock_timestamp())
    ORDER BY due, seq LIMIT $1 FOR UPDATE SKIP LOCKED)
UPDATE inbox SET due = clock_timestamp() + interval '60 s', attempt = attempt + 1, token = gen_random_uuid()
FROM next WHERE inbox.seq = next.seq RETURNING inbox.seq, inbox.token::text, inbox.k, inbox.body";

const SETTLE: &str = "
WITH gone AS (DELETE FROM inbox USING unnest($1::bigint[], $2::text[]) AS done (seq, token)
    WHERE inbox.seq = done.seq AND inbox.token = done.token::uuid RETURNING inbox.k)
UPDATE seen SET state = 3 FROM gone WHERE seen.k = gone.k";

impl PostgresTables {
    pub(crate) fn open(url: &str) -> Result<Self, sqlx::Error> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(async {
            let mut connection = PgConnection::connect(url).await?;
            connection.execute(TABLES).await?;
            // Fresh tables look empty to the planner, which would sort and scan them.
            connection
                .execute(
                    "SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off;
                    SET enable_hashjoin = off; SET enable_mergejoin = off",
                )
                .await?;
            Ok::<_, sqlx::Error>(connection)
        })?;
        Ok(Self {
            runtime,
            connection,
        })
    }

    async fn lease_and_settle(
        connection: &mut PgConnection,
        most: u32,
    ) -> Result<usize, sqlx::Error> {
        let leased = sqlx::query(LEASE)
            .bind(i64::from(most))
            .fetch_all(&mut *connection)
            .await?;
        let mut seqs = Vec::with_capacity(leased.len());
        let mut tokens = Vec::with_capacity(leased.len());
        for row in &leased {
            seqs.push(row.try_get::<i64, _>(0)?);
            tokens.push(row.try_get::<String, _>(1)?);
        }
        if !leased.is_empty() {
            sqlx::query(SETTLE)
                .bind(seqs)
                .bind(tokens)
                .execute(connection)
                .await?;
        }
        Ok(leased.len())
    }
}

impl TwoTables for PostgresTables {
    fn insert(&mut self, records: &[Record]) -> io::Result<()> {
        let keys: Vec<&[u8]> = records.iter().map(|record| &record.id[..]).collect();
        let bodies: Vec<&[u8]> = records.iter().map(|record| &record.body[..]).collect();
        let insert = sqlx::query(INSERT)
            .bind(keys)
            .bind(bodies)
            .execute(&mut self.connection);
        self.runtime.block_on(insert).map_err(io::Error::other)?;
        Ok(())
    }

    fn handle(&mut self, most: u32) -> io::Result<usize> {
        let handling = Self::lease_and_settle(&mut self.connection, most);
        self.runtime.block_on(handling).map_err(io::Error::other)
    }
}
