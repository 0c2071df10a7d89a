"""The first tables of the ledger."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SEQUENCE lease_token START WITH 1",
    """
    CREATE TABLE cache (
        cache_key TEXT NOT NULL,
        run_id TEXT NOT NULL,
        key TEXT NOT NULL,
        outputs JSONB DEFAULT '{}'::jsonb NOT NULL,
        result JSONB,
        created TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (cache_key)
    )
    """,
    """
    CREATE TABLE engines (
        id TEXT NOT NULL,
        host TEXT NOT NULL,
        pid BIGINT NOT NULL,
        started TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        expires TIMESTAMP WITH TIME ZONE NOT NULL,
        fenced TIMESTAMP WITH TIME ZONE,
        retired TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE runs (
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        spec JSONB DEFAULT '{}'::jsonb NOT NULL,
        source JSONB DEFAULT '{}'::jsonb NOT NULL,
        uploads JSONB DEFAULT '{}'::jsonb NOT NULL,
        options JSONB DEFAULT '{}'::jsonb NOT NULL,
        secret_names JSONB DEFAULT '[]'::jsonb NOT NULL,
        flow_run_id TEXT,
        deadline_s FLOAT,
        reason TEXT,
        error JSONB,
        cost_usd NUMERIC(18, 6) DEFAULT 0 NOT NULL,
        resumes INTEGER DEFAULT 0 NOT NULL,
        created TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        started TIMESTAMP WITH TIME ZONE,
        ended TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX runs_created ON runs (created DESC)",
    "CREATE INDEX runs_name ON runs (name, created DESC)",
    """
    CREATE TABLE artifacts (
        run_id TEXT NOT NULL,
        key TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        files BIGINT NOT NULL,
        url TEXT NOT NULL,
        created TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (run_id, key, attempt, kind, name),
        FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX artifacts_digest ON artifacts (digest)",
    """
    CREATE TABLE events (
        run_id TEXT NOT NULL,
        number BIGINT NOT NULL,
        kind TEXT NOT NULL,
        key TEXT,
        data JSONB DEFAULT '{}'::jsonb NOT NULL,
        op BIGINT,
        at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (run_id, number),
        FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE leases (
        run_id TEXT NOT NULL,
        engine_id TEXT,
        token BIGINT DEFAULT 0 NOT NULL,
        done BOOLEAN DEFAULT false NOT NULL,
        events BIGINT DEFAULT 0 NOT NULL,
        op BIGINT,
        claimed TIMESTAMP WITH TIME ZONE,
        last_event TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (run_id),
        FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE,
        FOREIGN KEY(engine_id) REFERENCES engines (id)
    )
     WITH (fillfactor = 20)
    """,
    "CREATE INDEX leases_open ON leases (run_id) WHERE NOT done",
    """
    CREATE TABLE stages (
        run_id TEXT NOT NULL,
        key TEXT NOT NULL,
        position INTEGER NOT NULL,
        stage TEXT NOT NULL,
        params JSONB DEFAULT '{}'::jsonb NOT NULL,
        needs JSONB DEFAULT '[]'::jsonb NOT NULL,
        state TEXT DEFAULT 'pending' NOT NULL,
        reason TEXT,
        placement JSONB,
        cache_key TEXT,
        cache_parts JSONB,
        result JSONB,
        outputs JSONB,
        error JSONB,
        flow_run_id TEXT,
        started TIMESTAMP WITH TIME ZONE,
        ended TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (run_id, key),
        FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE attempts (
        run_id TEXT NOT NULL,
        key TEXT NOT NULL,
        number INTEGER NOT NULL,
        resume INTEGER DEFAULT 0 NOT NULL,
        state TEXT DEFAULT 'running' NOT NULL,
        offer JSONB,
        steps JSONB DEFAULT '{}'::jsonb NOT NULL,
        event JSONB,
        action JSONB,
        exit_code INTEGER,
        started TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        ended TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (run_id, key, number),
        FOREIGN KEY(run_id, key) REFERENCES stages (run_id, key) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE clusters (
        token TEXT NOT NULL,
        run_id TEXT NOT NULL,
        key TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        cloud TEXT NOT NULL,
        offer JSONB DEFAULT '{}'::jsonb NOT NULL,
        price_usd_h NUMERIC(18, 6) NOT NULL,
        created TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        closed TIMESTAMP WITH TIME ZONE,
        reason TEXT,
        PRIMARY KEY (token),
        FOREIGN KEY(run_id, key) REFERENCES stages (run_id, key) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX clusters_open ON clusters (run_id) WHERE closed IS NULL",
    "CREATE INDEX clusters_run ON clusters (run_id, key)",
    """
    CREATE TABLE intents (
        token TEXT NOT NULL,
        run_id TEXT NOT NULL,
        key TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        cloud TEXT NOT NULL,
        request JSONB DEFAULT '{}'::jsonb NOT NULL,
        outcome TEXT,
        detail JSONB,
        opened TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        settled TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (token),
        FOREIGN KEY(run_id, key) REFERENCES stages (run_id, key) ON DELETE CASCADE
    )
    """,
    """CREATE INDEX intents_open ON intents (cloud) WHERE outcome IS NULL OR outcome = 'created'""",
    "CREATE INDEX intents_run ON intents (run_id, key)",
    """
    CREATE TABLE nodes (
        token TEXT NOT NULL,
        rank INTEGER NOT NULL,
        id TEXT NOT NULL,
        cloud TEXT NOT NULL,
        data JSONB DEFAULT '{}'::jsonb NOT NULL,
        closed TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (token, rank),
        FOREIGN KEY(token) REFERENCES clusters (token) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX nodes_id ON nodes (id)",
    """
    CREATE TABLE receipts (
        token TEXT NOT NULL,
        rank INTEGER NOT NULL,
        run_id TEXT NOT NULL,
        key TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        kind TEXT NOT NULL,
        description TEXT NOT NULL,
        quantity NUMERIC(18, 6) NOT NULL,
        unit TEXT NOT NULL,
        unit_price_usd NUMERIC(18, 6) NOT NULL,
        usd NUMERIC(18, 6) NOT NULL,
        created TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        PRIMARY KEY (token, rank),
        FOREIGN KEY(token) REFERENCES clusters (token) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX receipts_run ON receipts (run_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
