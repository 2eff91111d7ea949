-- The journal, and the tables that its events tell of. Times are RFC 3339 text in UTC with milliseconds; JSON is text.

CREATE TABLE journal_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
);
INSERT INTO journal_head (id, seq) VALUES (1, 0);

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    stream TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX events_by_stream ON events (stream, seq);

CREATE TABLE projects (
    id TEXT NOT NULL PRIMARY KEY,
    path TEXT NOT NULL UNIQUE
) WITHOUT ROWID;

CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE, -- of its run.created: what "newest" means
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    file TEXT NOT NULL,
    number INTEGER NOT NULL, -- from 1, a project and file
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    cancelling INTEGER NOT NULL,
    source TEXT NOT NULL,
    options TEXT NOT NULL,
    created TEXT NOT NULL,
    started TEXT,
    finished TEXT
) WITHOUT ROWID;
CREATE INDEX runs_by_project ON runs (project, seq);
CREATE UNIQUE INDEX runs_by_number ON runs (project, file, number);
CREATE INDEX runs_active ON runs (state) WHERE state IN ('queued', 'running');

-- Apart from `runs`: they may be megabytes, and a change of state would write them anew.
CREATE TABLE run_documents (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    plan TEXT NOT NULL,
    spec TEXT NOT NULL
);

CREATE TABLE jobs (
    uid TEXT NOT NULL PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL, -- in the plan, from 0
    key TEXT NOT NULL,
    base TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    tolerated INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    runner TEXT NOT NULL,
    outputs TEXT NOT NULL,
    log TEXT NOT NULL,
    log_bytes INTEGER NOT NULL,
    created TEXT NOT NULL,
    started TEXT,
    finished TEXT,
    UNIQUE (run, key)
) WITHOUT ROWID;

CREATE TABLE steps (
    job TEXT NOT NULL REFERENCES jobs (uid) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    idx INTEGER NOT NULL, -- in the job, from 0
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL, -- running, then its conclusion
    outcome TEXT NOT NULL,
    conclusion TEXT NOT NULL,
    exit_code INTEGER,
    reason TEXT NOT NULL,
    started TEXT,
    finished TEXT,
    duration_ms INTEGER,
    log_from INTEGER NOT NULL,
    log_to INTEGER,
    PRIMARY KEY (job, attempt, idx)
) WITHOUT ROWID;

CREATE TABLE cursors (
    runner TEXT NOT NULL PRIMARY KEY,
    spool_offset INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE queue_items (
    queue TEXT NOT NULL,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (queue, position),
    UNIQUE (queue, id)
) WITHOUT ROWID;

CREATE TABLE idempotency (
    key TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL,
    response TEXT NOT NULL,
    created TEXT NOT NULL
) WITHOUT ROWID;
