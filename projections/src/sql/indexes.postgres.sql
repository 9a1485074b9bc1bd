-- The indexes that only readers need: a rebuild makes them when almost all rows are there.
CREATE INDEX versions_by_name ON versions (tenant, resource, stream)
    WHERE to_position = 9223372036854775807;
CREATE INDEX versions_by_update ON versions (tenant, resource, from_position, kind)
    WHERE to_position = 9223372036854775807;
CREATE INDEX versions_unready ON versions (tenant, ready, resource, stream)
    WHERE to_position = 9223372036854775807 AND ready = 0 AND phase <> 'gone';
CREATE INDEX edges_target ON edges (target, source, to_position);
CREATE INDEX activity_time ON activity (time);
CREATE INDEX activity_correlation ON activity (correlation_id);
CREATE INDEX activity_intent ON activity (tenant, actor) WHERE intent = 1;
