-- Version 1. `SCHEMA` is the name of the schema, wherever it stands in these lines.
--
-- seen      every key that is remembered: written at the insert and at an upgrade, never at a settlement
-- inbox     what is alive: state 0 pending, 1 leased, 2 in quarantine (never due)
-- settled   the log of settlements: state 3 dead, 4 done, 5 disowned (the key is free, the token is remembered)
-- payload   key, meta and body, written once; `seq` is the same in all tables
-- failed    attempts that failed
--
-- Records are found by their ids as operators name them in `payload`, and in `settled` once their payload
-- is dropped. An index in `seen` would cost every insert as much as that of the keys.
--
-- Times are milliseconds since the epoch on the database's clock. A lease's token is `seq` and `token`.
-- Functions carry the version in their names: whoever knows another version finds none of them.

CREATE SEQUENCE SCHEMA.record_seq;

CREATE TABLE SCHEMA.queue (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    UNIQUE (endpoint, kind)
);

CREATE TABLE SCHEMA.seen (
    seq bigint NOT NULL,
    digest bigint NOT NULL,
    queue integer NOT NULL,
    rank integer NOT NULL,
    k bytea PRIMARY KEY,
    id bytea NOT NULL
);

CREATE TABLE SCHEMA.inbox (
    seq bigint PRIMARY KEY,
    born bigint NOT NULL,
    due bigint,
    lease_until bigint,
    next_due bigint,
    token bigint,
    settled_by bigint,
    queue integer NOT NULL,
    rank integer NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    expiries integer NOT NULL DEFAULT 0,
    state smallint NOT NULL,
    k bytea NOT NULL,
    id bytea NOT NULL,
    error text
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX inbox_due ON SCHEMA.inbox (queue, due, seq) WHERE due IS NOT NULL;
CREATE INDEX inbox_quarantine ON SCHEMA.inbox (queue, born, seq) WHERE due IS NULL;

CREATE TABLE SCHEMA.payload (
    seq bigint PRIMARY KEY,
    key bytea NOT NULL,
    meta bytea NOT NULL,
    body bytea NOT NULL,
    id bytea NOT NULL
);
CREATE INDEX payload_id ON SCHEMA.payload (id);

CREATE TABLE SCHEMA.settled (
    seq bigint PRIMARY KEY,
    at bigint NOT NULL,
    born bigint NOT NULL,
    token bigint,
    queue integer NOT NULL,
    attempt integer NOT NULL,
    expiries integer NOT NULL,
    state smallint NOT NULL,
    kept boolean NOT NULL,
    completed boolean NOT NULL DEFAULT false,
    k bytea NOT NULL,
    error text,
    id bytea
);
CREATE INDEX settled_at ON SCHEMA.settled (queue, state, kept, at, seq);
CREATE INDEX settled_id ON SCHEMA.settled (id) WHERE id IS NOT NULL;

CREATE TABLE SCHEMA.failed (
    seq bigint NOT NULL,
    at bigint NOT NULL,
    attempt integer NOT NULL,
    error text NOT NULL
);
CREATE INDEX failed_seq ON SCHEMA.failed (seq, at);

CREATE FUNCTION SCHEMA.clock_1() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- What the caller's settings must not undo. `local` and `remote_write` are raised too, so that a
-- synchronous standby has what is acknowledged; a lock is not waited for without end.
CREATE FUNCTION SCHEMA.guard_1(standby boolean, unsafe boolean, patience integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'tower-callback needs transactions that are READ COMMITTED'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF NOT unsafe AND current_setting('fsync') = 'off' THEN
        RAISE EXCEPTION 'the server runs with fsync=off: nothing that it commits is durable'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF standby AND current_setting('synchronous_standby_names') = '' THEN
        RAISE EXCEPTION 'the server has no synchronous standby (synchronous_standby_names is empty)'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF standby AND NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
        RAISE EXCEPTION 'without pg_read_all_stats, the role cannot see what a synchronous standby has'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM set_config('lock_timeout', patience::text, true);
END $$;

-- Fails unless a synchronous standby has on disk what this server has: of one's own commit, which was
-- answered, and of whatever one has seen of others'. A wait for the standby that was cancelled looks
-- like a commit.
CREATE FUNCTION SCHEMA.confirm_1(patience integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    end_ bigint := SCHEMA.clock_1() + patience;
    here pg_lsn := pg_current_wal_flush_lsn();
BEGIN
    LOOP
        EXIT WHEN EXISTS (
            SELECT FROM pg_stat_get_wal_senders() w
            WHERE w.sync_state IN ('sync', 'quorum') AND w.flush_lsn >= here);
        IF SCHEMA.clock_1() >= end_ THEN
            RAISE EXCEPTION 'no synchronous standby has what was committed'
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        PERFORM pg_sleep(0.001);
    END LOOP;
END $$;

-- What is known of hashed keys. Pinned to the indexes, as the functions below: on a table that was
-- never analysed, or that was empty a moment ago, the planner knows nothing.
CREATE FUNCTION SCHEMA.known_1(ks bytea[])
RETURNS TABLE (
    k bytea, id bytea, rank integer, digest bigint, state smallint, key bytea
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    now_ bigint := SCHEMA.clock_1();
BEGIN
    RETURN QUERY
    SELECT s.k, s.id, s.rank, s.digest,
        CASE WHEN i.state = 1 AND i.lease_until > now_ THEN 1
            WHEN i.seq IS NOT NULL THEN 0
            ELSE coalesce(d.state, 4) END::smallint,
        p.key
    FROM SCHEMA.seen s
    LEFT JOIN LATERAL (
        SELECT x.seq, x.state, x.lease_until FROM SCHEMA.inbox x WHERE x.seq = s.seq OFFSET 0
    ) i ON true
    LEFT JOIN LATERAL (
        SELECT x.state FROM SCHEMA.settled x WHERE x.seq = s.seq OFFSET 0) d ON true
    LEFT JOIN LATERAL (
        SELECT x.key FROM SCHEMA.payload x WHERE x.seq = s.seq OFFSET 0) p ON true
    WHERE s.k = ANY (ks);
END $$;

CREATE FUNCTION SCHEMA.find_1(k_ bytea)
RETURNS TABLE (
    seq bigint, id bytea, rank integer, state smallint, token bigint, body bytea, meta bytea,
    error text
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    now_ bigint := SCHEMA.clock_1();
BEGIN
    RETURN QUERY
    SELECT s.seq, s.id, s.rank,
        CASE WHEN i.state = 1 AND i.lease_until > now_ THEN 1
            WHEN i.seq IS NOT NULL THEN 0 ELSE coalesce(d.state, 4) END::smallint,
        CASE WHEN i.state = 1 THEN i.settled_by ELSE coalesce(i.token, d.token) END,
        p.body, p.meta, coalesce(i.error, d.error)
    FROM SCHEMA.seen s
    LEFT JOIN LATERAL (SELECT x.* FROM SCHEMA.inbox x WHERE x.seq = s.seq OFFSET 0) i ON true
    LEFT JOIN LATERAL (SELECT x.* FROM SCHEMA.settled x WHERE x.seq = s.seq OFFSET 0) d ON true
    LEFT JOIN LATERAL (SELECT x.* FROM SCHEMA.payload x WHERE x.seq = s.seq OFFSET 0) p ON true
    WHERE s.k = k_;
END $$;

-- Inserts what is new, and tells of the rest: answer 1 known, 3 no room; 6 tells how many were
-- dropped from the quarantine of the queue `ord`, 7 how many records are alive. Keys come in order,
-- so that two batches that name the same ones never wait for each other.
CREATE FUNCTION SCHEMA.insert_1(
    ks bytea[], ids bytea[], ords integer[], qs integer[], ranks integer[], digests bigint[],
    waits bigint[], keys bytea[], metas bytea[], bodies bytea[],
    endpoints text[], kinds text[], capacity bigint, quarantine bigint,
    standby boolean, unsafe boolean, patience integer
)
RETURNS TABLE (
    answer smallint, ord integer, k bytea, id bytea, rank integer, digest bigint, state smallint,
    key bytea, amount bigint
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_nestloop = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    n integer := cardinality(ks);
    now_ bigint;
    queues integer[];
    seqs bigint[];
    rest bytea[];
    fresh bytea[];
    found bytea[];
    revived bytea[];
    live bigint;
    q integer;
    r record;
BEGIN
    PERFORM SCHEMA.guard_1(standby, unsafe, patience);
    FOR round IN 1..2 LOOP
        queues := ARRAY(
            SELECT (SELECT q.id FROM SCHEMA.queue q WHERE q.endpoint = e.endpoint AND q.kind = e.kind)
            FROM unnest(endpoints, kinds) WITH ORDINALITY e(endpoint, kind, n) ORDER BY e.n);
        EXIT WHEN array_position(queues, NULL) IS NULL;
        INSERT INTO SCHEMA.queue (endpoint, kind)
        SELECT e.endpoint, e.kind FROM unnest(endpoints, kinds) e(endpoint, kind)
        ORDER BY 1, 2 ON CONFLICT DO NOTHING;
    END LOOP;
    seqs := ARRAY(SELECT nextval('SCHEMA.record_seq') FROM generate_series(1, n));
    rest := ks;
    IF capacity IS NOT NULL THEN
        SELECT count(*) INTO live
        FROM (SELECT FROM SCHEMA.inbox WHERE due IS NOT NULL LIMIT capacity) x;
        answer := 7; amount := live;
        RETURN NEXT;
        SELECT coalesce(array_agg(x.k), '{}'), coalesce(array_agg(x.k) FILTER (
            WHERE x.state > 2 AND EXISTS (
                SELECT FROM unnest(ks, ids, ranks) b(k, id, rank)
                WHERE b.k = x.k AND b.id <> x.id AND b.rank > x.rank)), '{}')
        INTO found, revived FROM SCHEMA.known_1(ks) x;
        answer := 3;
        -- What is settled and lives again is not refused, and takes room from what is new.
        FOR r IN
            SELECT x.k, x.ord FROM (
                SELECT b.k, b.ord, row_number() OVER (ORDER BY b.ord) AS nth
                FROM unnest(ks, ords, qs) b(k, ord, q)
                WHERE kinds[b.q] <> 'quarantine' AND (b.k <> ALL (found) OR b.k = ANY (revived))
            ) x
            WHERE x.nth > capacity - live AND x.k <> ALL (found)
            ORDER BY x.ord
        LOOP
            k := r.k; ord := r.ord;
            rest := array_remove(rest, r.k);
            RETURN NEXT;
        END LOOP;
    END IF;

    FOR round IN 1..10 LOOP
        now_ := SCHEMA.clock_1();
        WITH new AS (
            INSERT INTO SCHEMA.seen AS s (k, id, seq, queue, rank, digest)
            SELECT b.k, b.id, seqs[b.ord], queues[b.q], b.rank, b.digest
            FROM unnest(ks, ids, ords, qs, ranks, digests) b(k, id, ord, q, rank, digest)
            WHERE cardinality(rest) = n OR b.k = ANY (rest)
            ORDER BY b.k
            ON CONFLICT DO NOTHING
            RETURNING s.k, s.seq
        ), boxed AS (
            INSERT INTO SCHEMA.inbox (seq, queue, state, due, born, k, id, rank)
            SELECT new.seq, queues[b.q],
                CASE WHEN kinds[b.q] = 'quarantine' THEN 2 ELSE 0 END,
                CASE WHEN kinds[b.q] = 'quarantine' THEN NULL ELSE now_ + b.wait END,
                now_, b.k, b.id, b.rank
            FROM unnest(ks, ids, qs, ranks, waits) b(k, id, q, rank, wait) JOIN new ON new.k = b.k
        ), paid AS (
            INSERT INTO SCHEMA.payload (seq, key, meta, body, id)
            SELECT new.seq, b.key, b.meta, b.body, b.id
            FROM unnest(ks, keys, metas, bodies, ids) b(k, key, meta, body, id) JOIN new ON new.k = b.k
        )
        SELECT array_agg(new.k) INTO fresh FROM new;
        EXIT WHEN cardinality(fresh) = cardinality(rest);
        rest := ARRAY(SELECT unnest(rest) EXCEPT SELECT unnest(fresh));
        EXIT WHEN cardinality(rest) = 0;
        found := '{}';
        answer := 1; ord := NULL;
        FOR r IN SELECT * FROM SCHEMA.known_1(rest) LOOP
            k := r.k; id := r.id; rank := r.rank; digest := r.digest; state := r.state; key := r.key;
            found := found || r.k;
            RETURN NEXT;
        END LOOP;
        -- Neither new nor known: whoever had it was rolled back, or it was forgotten meanwhile.
        rest := ARRAY(SELECT unnest(rest) EXCEPT SELECT unnest(found));
        EXIT WHEN cardinality(rest) = 0;
        IF round = 10 THEN
            RAISE EXCEPTION 'keys come and go too fast' USING ERRCODE = 'serialization_failure';
        END IF;
    END LOOP;

    answer := 6; k := NULL;
    FOR r IN SELECT e.n FROM unnest(kinds) WITH ORDINALITY e(kind, n) WHERE e.kind = 'quarantine' LOOP
        q := queues[r.n];
        amount := SCHEMA.drop_oldest_1(q, quarantine);
        CONTINUE WHEN amount = 0;
        ord := r.n;
        RETURN NEXT;
    END LOOP;
END $$;

-- Forgets what was given up, in every table.
CREATE FUNCTION SCHEMA.forget_1(seqs bigint[], ks bytea[]) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off
AS $$
BEGIN
    DELETE FROM SCHEMA.payload WHERE seq = ANY (seqs);
    DELETE FROM SCHEMA.failed WHERE seq = ANY (seqs);
    -- By now, a key may be another record's.
    DELETE FROM SCHEMA.seen WHERE k = ANY (ks) AND seq = ANY (seqs);
END $$;

CREATE FUNCTION SCHEMA.drop_oldest_1(q integer, most bigint) RETURNS bigint
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
AS $$
DECLARE
    there bigint;
    seqs bigint[];
    ks bytea[];
BEGIN
    SELECT count(*) INTO there FROM SCHEMA.inbox WHERE queue = q AND due IS NULL;
    IF there <= most THEN
        RETURN 0;
    END IF;
    WITH oldest AS MATERIALIZED (
        SELECT seq FROM SCHEMA.inbox WHERE queue = q AND due IS NULL
        ORDER BY born, seq LIMIT there - most FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM SCHEMA.inbox WHERE seq = ANY (ARRAY(SELECT seq FROM oldest)) RETURNING seq, k
    )
    SELECT array_agg(seq), array_agg(k) INTO seqs, ks FROM gone;
    PERFORM SCHEMA.forget_1(seqs, ks);
    RETURN coalesce(cardinality(seqs), 0);
END $$;

-- Replaces what has a lower rank, one by one: answer 1 known after all, 2 upgraded (with what was
-- known before). Of what somebody holds, or what is gone by now, nothing is told.
CREATE FUNCTION SCHEMA.upgrade_1(
    ks bytea[], ids bytea[], ranks integer[], digests bigint[], waits bigint[],
    keys bytea[], metas bytea[], bodies bytea[],
    standby boolean, unsafe boolean, patience integer
)
RETURNS TABLE (answer smallint, k bytea, id bytea, rank integer, digest bigint, state smallint)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    now_ bigint;
    s record;
    i record;
    d record;
BEGIN
    PERFORM SCHEMA.guard_1(standby, unsafe, patience);
    FOR n IN 1..cardinality(ks) LOOP
        SELECT x.k, x.id, x.seq, x.queue, x.rank, x.digest INTO s
        FROM SCHEMA.seen x WHERE x.k = ks[n] FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        now_ := SCHEMA.clock_1();
        SELECT x.state, x.lease_until INTO i
        FROM SCHEMA.inbox x WHERE x.seq = s.seq FOR UPDATE SKIP LOCKED;
        k := s.k; id := s.id; rank := s.rank; digest := s.digest;
        IF FOUND THEN
            state := CASE WHEN i.state = 1 AND i.lease_until > now_ THEN 1 ELSE 0 END;
            IF s.rank >= ranks[n] THEN
                answer := 1;
                RETURN NEXT;
                CONTINUE;
            END IF;
            -- A lease stays good, and the record is due when it ends.
            UPDATE SCHEMA.inbox x SET
                id = ids[n], rank = ranks[n], born = now_, attempt = 0, expiries = 0, error = NULL,
                next_due = CASE WHEN x.state = 1 THEN now_ + waits[n] END,
                due = CASE x.state WHEN 0 THEN now_ + waits[n]
                    WHEN 1 THEN greatest(x.lease_until, now_ + waits[n]) END
            WHERE x.seq = s.seq;
        ELSE
            SELECT x.state, x.token INTO d
            FROM SCHEMA.settled x WHERE x.seq = s.seq FOR UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
            state := d.state;
            IF s.rank >= ranks[n] THEN
                answer := 1;
                RETURN NEXT;
                CONTINUE;
            END IF;
            DELETE FROM SCHEMA.settled x WHERE x.seq = s.seq;
            -- The last token stays, so that repeating its settlement is told from a lost lease.
            INSERT INTO SCHEMA.inbox (seq, queue, state, due, born, token, k, id, rank)
            VALUES (s.seq, s.queue, 0, now_ + waits[n], now_, d.token, s.k, ids[n], ranks[n]);
        END IF;
        UPDATE SCHEMA.seen x SET id = ids[n], rank = ranks[n], digest = digests[n] WHERE x.k = s.k;
        INSERT INTO SCHEMA.payload AS x (seq, key, meta, body, id)
        VALUES (s.seq, keys[n], metas[n], bodies[n], ids[n])
        ON CONFLICT (seq) DO UPDATE
        SET meta = excluded.meta, body = excluded.body, id = excluded.id;
        DELETE FROM SCHEMA.failed x WHERE x.seq = s.seq;
        answer := 2;
        RETURN NEXT;
    END LOOP;
END $$;

-- A record that is still leased although it is due lost its lease by expiry. That is not counted
-- against an event that replaced the leased one. A suspect goes alone, when its turn comes.
CREATE FUNCTION SCHEMA.lease_1(
    endpoint_ text, kind_ text, most bigint, ttl bigint, token_ bigint, since bigint,
    standby boolean, unsafe boolean, patience integer
)
RETURNS TABLE (
    n bigint, first_due bigint, seq bigint, id bytea, rank integer, attempt integer,
    expiries integer, age bigint, key bytea, meta bytea, body bytea
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    now_ bigint;
    q integer;
    seqs bigint[];
    dues bigint[];
    suspects boolean[];
    suspect integer;
BEGIN
    SELECT x.id INTO q FROM SCHEMA.queue x WHERE x.endpoint = endpoint_ AND x.kind = kind_;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    LOOP
        now_ := SCHEMA.clock_1();
        SELECT array_agg(x.seq), array_agg(x.due),
            array_agg(x.expiries > 0 OR (x.state = 1 AND x.next_due IS NULL))
        INTO seqs, dues, suspects
        FROM (
            SELECT i.seq, i.due, i.state, i.expiries, i.next_due FROM SCHEMA.inbox i
            WHERE i.queue = q AND i.due >= since AND i.due <= now_
            ORDER BY i.due, i.seq LIMIT most FOR UPDATE SKIP LOCKED
        ) x;
        EXIT WHEN seqs IS NOT NULL OR since = 0;
        since := 0;
    END LOOP;
    IF seqs IS NULL THEN
        RETURN;
    END IF;
    PERFORM SCHEMA.guard_1(standby, unsafe, patience);
    suspect := array_position(suspects, true);
    IF suspect IS NOT NULL THEN
        seqs := seqs[1:greatest(suspect - 1, 1)];
    END IF;
    RETURN QUERY
    WITH leased AS (
        UPDATE SCHEMA.inbox i SET
            expiries = i.expiries + CASE WHEN i.state = 1 AND i.next_due IS NULL THEN 1 ELSE 0 END,
            settled_by = CASE WHEN i.state = 0 THEN i.token ELSE i.settled_by END,
            attempt = i.attempt + 1, state = 1, next_due = NULL,
            due = now_ + ttl, lease_until = now_ + ttl, token = token_
        FROM unnest(seqs) WITH ORDINALITY x(seq, n)
        WHERE i.seq = x.seq
        RETURNING x.n, i.seq, i.id, i.rank, i.attempt, i.expiries, i.born
    )
    SELECT l.n, dues[1], l.seq, l.id, l.rank, l.attempt, l.expiries,
        greatest(now_ - l.born, 0), p.key, p.meta, p.body
    FROM leased l JOIN SCHEMA.payload p ON p.seq = l.seq;
END $$;

-- Actions: 1 done, 2 dead, 3 disown, 4 retry, 5 extend, 6 release; one for each lease, in order of
-- `seq`. Answers: 1 applied, 2 was settled before under this token, 3 somebody holds the row; of a
-- lost lease nothing is told.
CREATE FUNCTION SCHEMA.settle_1(
    seqs bigint[], tokens bigint[], actions smallint[], waits bigint[], errors text[],
    standby boolean, unsafe boolean, patience integer
)
RETURNS TABLE (n bigint, answer smallint)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_nestloop = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
-- Whatever is looked for in a table is named by `ANY (seqs)` or one by one (LATERAL): a join that the
-- planner may begin with the table reads all of it, once it was planned while that was empty.
DECLARE
    now_ bigint;
    applied bigint[] := '{}';
    extended bigint[];
BEGIN
    PERFORM SCHEMA.guard_1(standby, unsafe, patience);
    IF EXISTS (SELECT FROM unnest(actions) a WHERE a <> 5) THEN
        -- It waits for whoever has a row, in order of `seq`, in which they are given: skipping would
        -- lose a settlement.
        SELECT coalesce(array_agg(s.n), '{}') INTO applied
        FROM unnest(seqs, tokens, actions) WITH ORDINALITY s(seq, token, action, n)
        CROSS JOIN LATERAL (
            SELECT FROM SCHEMA.inbox i
            WHERE i.seq = s.seq AND i.token = s.token AND i.state = 1 FOR UPDATE
        ) held
        WHERE s.action <> 5;
        now_ := SCHEMA.clock_1();
        WITH gone AS (
            DELETE FROM SCHEMA.inbox i
            USING unnest(seqs, tokens, actions, errors) s(seq, token, action, error)
            WHERE i.seq = ANY (seqs) AND i.seq = s.seq AND i.token = s.token AND i.state = 1
                AND i.next_due IS NULL AND s.action IN (1, 2, 3)
            RETURNING i.seq, i.born, i.token, i.queue, i.attempt, i.expiries, i.k,
                s.action, coalesce(s.error, i.error) AS error
        )
        INSERT INTO SCHEMA.settled (
            seq, at, born, token, queue, attempt, expiries, state, kept, k, error)
        SELECT g.seq, now_, g.born, g.token, g.queue, g.attempt, g.expiries,
            CASE g.action WHEN 1 THEN 4 WHEN 2 THEN 3 ELSE 5 END, g.action <> 3, g.k, g.error
        FROM gone g;
        IF 3 = ANY (actions) THEN
            PERFORM SCHEMA.forget_1(array_agg(d.seq), array_agg(d.k))
            FROM unnest(seqs, tokens, actions) s(seq, token, action)
            JOIN SCHEMA.settled d ON d.seq = s.seq AND d.token = s.token AND d.state = 5
            WHERE s.action = 3 AND d.seq = ANY (seqs)
            HAVING count(*) > 0;
        END IF;
        IF EXISTS (SELECT FROM unnest(actions) a WHERE a IN (2, 4, 6)) THEN
            INSERT INTO SCHEMA.failed (seq, at, attempt, error)
            SELECT s.seq, now_, coalesce(i.attempt, d.attempt), coalesce(s.error, '')
            FROM unnest(seqs, tokens, actions, errors) WITH ORDINALITY s(seq, token, action, error, n)
            LEFT JOIN LATERAL (
                SELECT x.seq, x.attempt FROM SCHEMA.inbox x
                WHERE x.seq = s.seq AND x.token = s.token AND x.state = 1 AND x.next_due IS NULL
                    AND s.action = 4 OFFSET 0
            ) i ON true
            LEFT JOIN LATERAL (
                SELECT x.seq, x.attempt FROM SCHEMA.settled x
                WHERE x.seq = s.seq AND x.token = s.token AND x.state = 3 AND s.action = 2 OFFSET 0
            ) d ON true
            WHERE s.n = ANY (applied) AND s.action IN (2, 4)
                AND (i.seq IS NOT NULL OR d.seq IS NOT NULL);
            DELETE FROM SCHEMA.failed f WHERE f.ctid = ANY (ARRAY(
                SELECT x.ctid FROM unnest(seqs, actions) s(seq, action)
                CROSS JOIN LATERAL (
                    SELECT y.ctid FROM SCHEMA.failed y WHERE y.seq = s.seq
                    ORDER BY y.at DESC OFFSET 16
                ) x WHERE s.action IN (2, 4)));
            UPDATE SCHEMA.inbox i SET
                state = 0, due = now_ + s.wait, lease_until = NULL,
                attempt = CASE s.action WHEN 6 THEN greatest(i.attempt - 1, 0) ELSE i.attempt END,
                error = coalesce(s.error, i.error)
            FROM unnest(seqs, tokens, actions, waits, errors) s(seq, token, action, wait, error)
            WHERE i.seq = ANY (seqs) AND i.seq = s.seq AND i.token = s.token AND i.state = 1
                AND i.next_due IS NULL AND s.action IN (4, 6);
        END IF;
        -- An event that replaced the leased one is due now, whatever became of the lease.
        UPDATE SCHEMA.inbox i SET
            state = 0, due = greatest(i.next_due, now_), lease_until = NULL, next_due = NULL,
            attempt = 0
        FROM unnest(seqs, tokens, actions) s(seq, token, action)
        WHERE i.seq = ANY (seqs) AND i.seq = s.seq AND i.token = s.token AND i.state = 1
            AND i.next_due IS NOT NULL AND s.action <> 5;
    END IF;
    IF 5 = ANY (actions) THEN
        now_ := SCHEMA.clock_1();
        WITH free AS MATERIALIZED (
            SELECT s.n, s.seq, s.wait
            FROM unnest(seqs, tokens, actions, waits) WITH ORDINALITY s(seq, token, action, wait, n)
            CROSS JOIN LATERAL (
                SELECT FROM SCHEMA.inbox i
                WHERE i.seq = s.seq AND i.token = s.token AND i.state = 1 FOR UPDATE SKIP LOCKED
            ) held
            WHERE s.action = 5
        ), done AS (
            UPDATE SCHEMA.inbox i SET
                lease_until = now_ + f.wait, due = greatest(i.next_due, now_ + f.wait)
            FROM free f WHERE i.seq = ANY (seqs) AND i.seq = f.seq
            RETURNING f.n
        )
        SELECT coalesce(array_agg(done.n), '{}') INTO extended FROM done;
        applied := applied || extended;
    END IF;
    RETURN QUERY SELECT x, 1::smallint FROM unnest(applied) x;
    IF cardinality(applied) < cardinality(seqs) THEN
        RETURN QUERY
        SELECT s.n, CASE WHEN i.token = s.token AND i.state = 1 THEN 3 ELSE 2 END::smallint
        FROM unnest(seqs, tokens) WITH ORDINALITY s(seq, token, n)
        LEFT JOIN LATERAL (
            SELECT x.token, x.state FROM SCHEMA.inbox x WHERE x.seq = s.seq OFFSET 0) i ON true
        LEFT JOIN LATERAL (
            SELECT x.token FROM SCHEMA.settled x WHERE x.seq = s.seq OFFSET 0) d ON true
        WHERE NOT (s.n = ANY (applied)) AND (i.token = s.token OR d.token = s.token);
    END IF;
END $$;

-- In a transaction of the user's: 1 done, 2 completed before, 0 lost.
CREATE FUNCTION SCHEMA.complete_1(seq_ bigint, token_ bigint) RETURNS smallint
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
AS $$
DECLARE
    now_ bigint;
    i record;
BEGIN
    PERFORM FROM SCHEMA.inbox x
    WHERE x.seq = seq_ AND x.token = token_ AND x.state = 1 FOR UPDATE;
    now_ := SCHEMA.clock_1();
    DELETE FROM SCHEMA.inbox x
    WHERE x.seq = seq_ AND x.token = token_ AND x.state = 1 AND x.next_due IS NULL
    RETURNING * INTO i;
    IF FOUND THEN
        INSERT INTO SCHEMA.settled (
            seq, at, born, token, queue, attempt, expiries, state, kept, completed, k, error)
        VALUES (i.seq, now_, i.born, i.token, i.queue, i.attempt, i.expiries, 4, true, true, i.k,
            i.error);
        RETURN 1;
    END IF;
    UPDATE SCHEMA.inbox x SET
        state = 0, due = greatest(x.next_due, now_), lease_until = NULL, next_due = NULL, attempt = 0
    WHERE x.seq = seq_ AND x.token = token_ AND x.state = 1;
    IF FOUND THEN
        RETURN 1;
    END IF;
    PERFORM FROM SCHEMA.settled x WHERE x.seq = seq_ AND x.token = token_ AND x.completed;
    RETURN CASE WHEN FOUND THEN 2 ELSE 0 END;
END $$;

-- One step, of at most `step` records of a kind. What somebody holds is left for another time.
CREATE FUNCTION SCHEMA.purge_1(
    bodies bigint, dead bigint, quarantine bigint, keys bigint, step bigint,
    standby boolean, unsafe boolean, patience integer
)
RETURNS TABLE (records bigint, more boolean)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
#variable_conflict use_column
DECLARE
    now_ bigint := SCHEMA.clock_1();
    wanted record;
    q integer;
    seqs bigint[];
    ks bytea[];
    took bigint;
BEGIN
    PERFORM SCHEMA.guard_1(standby, unsafe, patience);
    records := 0; more := false;
    FOR wanted IN
        -- Keys first: what is forgotten as a whole counts once.
        SELECT * FROM (VALUES
            (4, true, keys, true), (4, false, keys, true), (5, false, keys, true),
            (4, true, bodies, false), (3, true, dead, true)
        ) x(state, kept, age, whole)
    LOOP
        took := 0;
        FOR q IN SELECT x.id FROM SCHEMA.queue x LOOP
            EXIT WHEN took >= step;
            SELECT array_agg(x.seq), array_agg(x.k) INTO seqs, ks FROM (
                SELECT d.seq, d.k FROM SCHEMA.settled d
                WHERE d.queue = q AND d.state = wanted.state AND d.kept = wanted.kept
                    AND d.at <= now_ - wanted.age
                ORDER BY d.at, d.seq LIMIT step - took FOR UPDATE SKIP LOCKED
            ) x;
            CONTINUE WHEN seqs IS NULL;
            took := took + cardinality(seqs);
            IF wanted.whole THEN
                DELETE FROM SCHEMA.settled d WHERE d.seq = ANY (seqs);
                PERFORM SCHEMA.forget_1(seqs, ks);
            ELSE
                UPDATE SCHEMA.settled d SET kept = false, error = NULL, id = (
                    SELECT s.id FROM SCHEMA.seen s WHERE s.k = d.k AND s.seq = d.seq)
                WHERE d.seq = ANY (seqs);
                DELETE FROM SCHEMA.payload p WHERE p.seq = ANY (seqs);
                DELETE FROM SCHEMA.failed f WHERE f.seq = ANY (seqs);
            END IF;
        END LOOP;
        -- Remembered tokens of what was disowned are nobody's records.
        IF wanted.state <> 5 THEN
            records := records + took;
        END IF;
        more := more OR took >= step;
    END LOOP;
    took := 0;
    FOR q IN SELECT x.id FROM SCHEMA.queue x WHERE x.kind = 'quarantine' LOOP
        EXIT WHEN took >= step;
        WITH old AS MATERIALIZED (
            SELECT i.seq FROM SCHEMA.inbox i
            WHERE i.queue = q AND i.due IS NULL AND i.born <= now_ - quarantine
            ORDER BY i.born, i.seq LIMIT step - took FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM SCHEMA.inbox i WHERE i.seq = ANY (ARRAY(SELECT old.seq FROM old))
            RETURNING i.seq, i.k
        )
        SELECT array_agg(gone.seq), array_agg(gone.k) INTO seqs, ks FROM gone;
        CONTINUE WHEN seqs IS NULL;
        took := took + cardinality(seqs);
        PERFORM SCHEMA.forget_1(seqs, ks);
    END LOOP;
    records := records + took;
    more := more OR took >= step;
    RETURN NEXT;
END $$;

-- The records of a queue that have these ids.
CREATE FUNCTION SCHEMA.by_id_1(endpoint_ text, kind_ text, ids bytea[])
RETURNS TABLE (k bytea, id bytea, seq bigint, queue integer, rank integer)
LANGUAGE plpgsql ROWS 1
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    q integer;
BEGIN
    SELECT x.id INTO q FROM SCHEMA.queue x WHERE x.endpoint = endpoint_ AND x.kind = kind_;
    RETURN QUERY
    SELECT s.k, s.id, s.seq, s.queue, s.rank
    FROM (
        SELECT p.seq FROM SCHEMA.payload p WHERE p.id = ANY (ids)
        UNION ALL SELECT d.seq FROM SCHEMA.settled d WHERE d.id = ANY (ids)
    ) x
    CROSS JOIN LATERAL (
        SELECT i.k FROM SCHEMA.inbox i WHERE i.seq = x.seq
        UNION ALL SELECT d.k FROM SCHEMA.settled d WHERE d.seq = x.seq
    ) y
    CROSS JOIN LATERAL (
        SELECT z.* FROM SCHEMA.seen z WHERE z.k = y.k AND z.seq = x.seq OFFSET 0) s
    WHERE s.queue = q AND s.id = ANY (ids);
END $$;

-- Answers of both: 1 applied, 2 pending, 3 leased, 4 gone, 5 somebody holds it; of what is unknown,
-- nothing is told.
CREATE FUNCTION SCHEMA.requeue_1(
    endpoint_ text, kind_ text, ids bytea[], standby boolean, unsafe boolean, patience integer
)
RETURNS TABLE (id bytea, answer smallint)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    now_ bigint;
    s record;
    i record;
    d record;
BEGIN
    PERFORM SCHEMA.guard_1(standby, unsafe, patience);
    FOR s IN
        SELECT * FROM SCHEMA.by_id_1(endpoint_, kind_, ids)
    LOOP
        id := s.id;
        now_ := SCHEMA.clock_1();
        -- An upgrade changes the id, and comes with this lock.
        PERFORM FROM SCHEMA.seen x WHERE x.k = s.k AND x.id = s.id AND x.seq = s.seq
        FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            answer := 5;
            CONTINUE WHEN NOT EXISTS (SELECT FROM SCHEMA.seen x WHERE x.k = s.k AND x.id = s.id);
            RETURN NEXT;
            CONTINUE;
        END IF;
        SELECT x.state, x.lease_until INTO i FROM SCHEMA.inbox x WHERE x.seq = s.seq;
        IF FOUND THEN
            answer := CASE WHEN i.state = 1 AND i.lease_until > now_ THEN 3 ELSE 2 END;
            RETURN NEXT;
            CONTINUE;
        END IF;
        SELECT x.state, x.kept, x.error INTO d FROM SCHEMA.settled x WHERE x.seq = s.seq
        FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            answer := 5;
        ELSIF NOT d.kept THEN
            answer := 4;
        ELSE
            DELETE FROM SCHEMA.settled x WHERE x.seq = s.seq;
            -- Without a token: every one from before is stale.
            INSERT INTO SCHEMA.inbox (seq, queue, state, due, born, k, id, rank, error)
            VALUES (s.seq, s.queue, 0, now_, now_, s.k, s.id, s.rank, d.error);
            answer := 1;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

CREATE FUNCTION SCHEMA.delete_1(
    endpoint_ text, kind_ text, ids bytea[], standby boolean, unsafe boolean, patience integer
)
RETURNS TABLE (id bytea, answer smallint)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    now_ bigint;
    s record;
    i record;
BEGIN
    PERFORM SCHEMA.guard_1(standby, unsafe, patience);
    FOR s IN
        SELECT * FROM SCHEMA.by_id_1(endpoint_, kind_, ids)
    LOOP
        id := s.id;
        now_ := SCHEMA.clock_1();
        PERFORM FROM SCHEMA.seen x WHERE x.k = s.k AND x.id = s.id AND x.seq = s.seq
        FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            answer := 5;
            CONTINUE WHEN NOT EXISTS (SELECT FROM SCHEMA.seen x WHERE x.k = s.k AND x.id = s.id);
            RETURN NEXT;
            CONTINUE;
        END IF;
        SELECT x.state, x.lease_until INTO i FROM SCHEMA.inbox x WHERE x.seq = s.seq
        FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            IF i.state = 1 AND i.lease_until > now_ THEN
                answer := 3;
                RETURN NEXT;
                CONTINUE;
            END IF;
            DELETE FROM SCHEMA.inbox x WHERE x.seq = s.seq;
        ELSE
            PERFORM FROM SCHEMA.settled x WHERE x.seq = s.seq FOR UPDATE SKIP LOCKED;
            IF NOT FOUND THEN
                answer := 5;
                RETURN NEXT;
                CONTINUE;
            END IF;
            DELETE FROM SCHEMA.settled x WHERE x.seq = s.seq;
        END IF;
        PERFORM SCHEMA.forget_1(ARRAY[s.seq], ARRAY[s.k]);
        answer := 1;
        RETURN NEXT;
    END LOOP;
END $$;
