-- What the planner of queries goes by, without the documents, which nobody asks for by value. The server's own
-- housekeeping comes by once a minute: until then it knows nothing of tables that fill fast, and reads them whole.
ANALYZE
    versions (from_position, to_position, stream, tenant, kind, name, resource, phase, ready, deployment,
        environment, application, class, uid),
    edges, memberships, handles, revisions,
    activity (position, time, stream, correlation_id, intent);
