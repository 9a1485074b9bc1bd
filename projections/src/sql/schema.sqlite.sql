-- The views of one log. Positions and microseconds are BIGINT, ids are TEXT, documents are JSON in TEXT.
-- A range is from_position <= p < to_position; 9223372036854775807 is a range that has not ended.

-- One row for each state of each aggregate: resources, applications, environments, classes, accounts,
-- deployments, plans and rollouts. `from_position` is the commit that led to it. `since` and `generation` are a
-- resource's; 0 is none.
CREATE TABLE versions (
    from_position INTEGER PRIMARY KEY,
    to_position BIGINT NOT NULL,
    stream TEXT NOT NULL,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    resource BIGINT NOT NULL,
    version BIGINT NOT NULL,
    time BIGINT NOT NULL,
    phase TEXT NOT NULL,
    ready BIGINT NOT NULL,
    deployment TEXT,
    environment TEXT,
    application TEXT,
    class TEXT,
    uid TEXT,
    since BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    summary TEXT,
    doc TEXT NOT NULL
);
CREATE UNIQUE INDEX versions_stream ON versions (stream, from_position);
CREATE INDEX versions_by_name ON versions (tenant, resource, stream)
    WHERE to_position = 9223372036854775807;
CREATE INDEX versions_by_update ON versions (tenant, resource, from_position, kind)
    WHERE to_position = 9223372036854775807;
CREATE INDEX versions_unready ON versions (tenant, ready, resource, stream)
    WHERE to_position = 9223372036854775807 AND ready = 0 AND phase <> 'gone';

-- `source` needs `output` of `target`; an empty output: it is enough that it is ready. An environment is the source of
-- an edge to each cluster that it offers.
CREATE TABLE edges (
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    output TEXT NOT NULL,
    from_position BIGINT NOT NULL,
    to_position BIGINT NOT NULL,
    PRIMARY KEY (source, target, output, from_position)
) WITHOUT ROWID;
CREATE INDEX edges_target ON edges (target, source, to_position);

-- Which streams belong to a deployment, an environment, an application or a class, or once did.
CREATE TABLE memberships (
    tenant TEXT NOT NULL,
    grouping TEXT NOT NULL,
    value TEXT NOT NULL,
    stream TEXT NOT NULL,
    PRIMARY KEY (tenant, grouping, value, stream)
) WITHOUT ROWID;

-- One row for each commit: who, what, when, why, from which command.
CREATE TABLE activity (
    position INTEGER PRIMARY KEY,
    commit_id TEXT NOT NULL UNIQUE,
    time BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    stream TEXT NOT NULL,
    version BIGINT NOT NULL,
    actor TEXT NOT NULL,
    command TEXT NOT NULL,
    intent BIGINT NOT NULL,
    causation_id TEXT,
    correlation_id TEXT NOT NULL,
    traceparent TEXT,
    events TEXT NOT NULL
);
CREATE INDEX activity_time ON activity (time);
CREATE INDEX activity_correlation ON activity (correlation_id);
CREATE INDEX activity_intent ON activity (tenant, actor) WHERE intent = 1;

-- By what the world and the events call a resource: its uids, its external names.
CREATE TABLE handles (
    handle TEXT NOT NULL,
    stream TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (handle, stream)
) WITHOUT ROWID;

-- The numbered definitions of applications, classes and environments, and the commits that brought them.
CREATE TABLE revisions (
    stream TEXT NOT NULL,
    number BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (stream, number)
) WITHOUT ROWID;

-- Streams that are not shown any further: the first commit that is not, why, and how many are not.
CREATE TABLE quarantine (
    stream TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    version BIGINT NOT NULL,
    time BIGINT NOT NULL,
    reason TEXT NOT NULL,
    commits BIGINT NOT NULL
) WITHOUT ROWID;

-- How far the views are, who may move them on, and why nobody does.
CREATE TABLE checkpoint (
    name TEXT PRIMARY KEY,
    pos BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    stopped TEXT
) WITHOUT ROWID;
INSERT INTO checkpoint (name, pos, epoch) VALUES ('views', 0, 0);
