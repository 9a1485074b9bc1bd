-- The views of one log. Positions and microseconds are BIGINT, ids are TEXT, documents are JSON in TEXT.
-- A range is from_position <= p < to_position; 9223372036854775807 is a range that has not ended.

-- One row for each state of each aggregate: resources, applications, environments, classes, accounts,
-- deployments, plans and rollouts. `from_position` is the commit that led to it. `since` and `generation` are a
-- resource's; 0 is none.
CREATE TABLE versions (
    from_position BIGINT PRIMARY KEY,
    to_position BIGINT NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    resource BIGINT NOT NULL,
    version BIGINT NOT NULL,
    time BIGINT NOT NULL,
    phase TEXT COLLATE "C" NOT NULL,
    ready BIGINT NOT NULL,
    deployment TEXT COLLATE "C",
    environment TEXT COLLATE "C",
    application TEXT COLLATE "C",
    class TEXT COLLATE "C",
    uid TEXT COLLATE "C",
    since BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    summary TEXT,
    doc TEXT NOT NULL
);
CREATE UNIQUE INDEX versions_stream ON versions (stream, from_position);

-- `source` needs `output` of `target`; an empty output: it is enough that it is ready. An environment is the source of
-- an edge to each cluster that it offers.
CREATE TABLE edges (
    source TEXT COLLATE "C" NOT NULL,
    target TEXT COLLATE "C" NOT NULL,
    output TEXT COLLATE "C" NOT NULL,
    from_position BIGINT NOT NULL,
    to_position BIGINT NOT NULL,
    PRIMARY KEY (source, target, output, from_position)
);

-- Which streams belong to a deployment, an environment, an application or a class, or once did.
CREATE TABLE memberships (
    tenant TEXT COLLATE "C" NOT NULL,
    grouping TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, grouping, value, stream)
);

-- One row for each commit: who, what, when, why, from which command.
CREATE TABLE activity (
    position BIGINT PRIMARY KEY,
    commit_id TEXT COLLATE "C" NOT NULL UNIQUE,
    time BIGINT NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    command TEXT COLLATE "C" NOT NULL,
    intent BIGINT NOT NULL,
    causation_id TEXT COLLATE "C",
    correlation_id TEXT COLLATE "C" NOT NULL,
    traceparent TEXT,
    events TEXT NOT NULL
);

-- By what the world and the events call a resource: its uids, its external names.
CREATE TABLE handles (
    handle TEXT COLLATE "C" NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (handle, stream)
);

-- The numbered definitions of applications, classes and environments, and the commits that brought them.
CREATE TABLE revisions (
    stream TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (stream, number)
);

-- Streams that are not shown any further: the first commit that is not, why, and how many are not.
CREATE TABLE quarantine (
    stream TEXT COLLATE "C" PRIMARY KEY,
    position BIGINT NOT NULL,
    version BIGINT NOT NULL,
    time BIGINT NOT NULL,
    reason TEXT NOT NULL,
    commits BIGINT NOT NULL
);

-- How far the views are, who may move them on, and why nobody does.
CREATE TABLE checkpoint (
    name TEXT COLLATE "C" PRIMARY KEY,
    pos BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    stopped TEXT
);
INSERT INTO checkpoint (name, pos, epoch) VALUES ('views', 0, 0);
