-- Deployments, what they bring, and where it is live. Times are RFC 3339 text in UTC with milliseconds; JSON is text.

CREATE TABLE releases (
    id TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE, -- of its release.created: what "newest" means
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    number INTEGER NOT NULL, -- from 1, an environment
    commit_id TEXT NOT NULL,
    tree TEXT NOT NULL,
    subject TEXT NOT NULL, -- of the commit
    run TEXT NOT NULL, -- empty: none
    artifact TEXT NOT NULL, -- JSON: kind, digest, where its bytes lie
    settings TEXT NOT NULL, -- JSON: the environment's settings as they were read
    settings_digest TEXT NOT NULL,
    secrets TEXT NOT NULL, -- JSON: names
    author TEXT NOT NULL,
    created TEXT NOT NULL,
    pruned INTEGER NOT NULL, -- its bytes are gone
    UNIQUE (project, environment, number)
) WITHOUT ROWID;

CREATE TABLE deployments (
    id TEXT NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    target TEXT NOT NULL, -- what only one deployment may act on at a time
    release TEXT NOT NULL REFERENCES releases (id),
    previous TEXT NOT NULL, -- the release that was live before; empty: none, or not known yet
    kind TEXT NOT NULL, -- deploy, rollback, promote
    state TEXT NOT NULL,
    step TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked TEXT NOT NULL, -- empty, cancel, keep
    epoch INTEGER NOT NULL, -- of the last claim: the fence
    holder TEXT NOT NULL,
    author TEXT NOT NULL,
    run TEXT NOT NULL,
    directory TEXT NOT NULL,
    waits TEXT NOT NULL, -- JSON: what it waits for
    override TEXT NOT NULL, -- why a freeze was passed over
    created TEXT NOT NULL,
    started TEXT,
    finished TEXT
) WITHOUT ROWID;
CREATE INDEX deployments_by_environment ON deployments (project, environment, seq);
CREATE INDEX deployments_open ON deployments (state) WHERE state IN ('queued', 'waiting', 'running', 'unknown');

-- What happened to a deployment's steps, in order: the saga is replayed from it, also when the journal was pruned.
CREATE TABLE deployment_moves (
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    n INTEGER NOT NULL, -- from 0
    step TEXT NOT NULL,
    event TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    data TEXT NOT NULL, -- JSON: what the step gave, or why it failed
    time TEXT NOT NULL,
    PRIMARY KEY (deployment, n)
) WITHOUT ROWID;

CREATE TABLE approvals (
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    time TEXT NOT NULL,
    PRIMARY KEY (deployment, person)
) WITHOUT ROWID;

CREATE TABLE environments (
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    adapter TEXT NOT NULL,
    live TEXT NOT NULL, -- the release; empty: none
    deployment TEXT NOT NULL, -- that made it live
    since TEXT, -- when
    maintenance INTEGER NOT NULL,
    facts TEXT NOT NULL, -- JSON: what the adapter wants to find again
    PRIMARY KEY (project, name)
) WITHOUT ROWID;

CREATE TABLE targets (
    target TEXT NOT NULL PRIMARY KEY,
    deployment TEXT NOT NULL,
    taken TEXT NOT NULL
) WITHOUT ROWID;
