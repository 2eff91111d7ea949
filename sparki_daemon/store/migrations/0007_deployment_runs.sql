-- The runs that made or proved what a deployment brings: a push may start several, and each leads to it.

CREATE TABLE deployment_runs (
    run TEXT NOT NULL,
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    PRIMARY KEY (run, deployment)
) WITHOUT ROWID;
INSERT INTO deployment_runs (run, deployment) SELECT run, id FROM deployments WHERE run <> '';
