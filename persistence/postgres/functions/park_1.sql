-- Park messages until their time. Parking twice under one id is parking once, with a new revision each time:
-- the relay deletes by revision, so a copy parked again while its first sending is being deleted stays.
create function park_1(
  p_id uuid[], p_shard smallint[], p_tenant text[], p_not_before timestamptz[], p_topic smallint[], p_job uuid[],
  p_body bytea[], p_reason text[]
) returns void language sql as $$
  insert into outbox (id, shard, lane, tenant_id, not_before, topic, job_id, body, reason)
  select m.id, m.shard, case when m.topic < 3 then m.topic else 3 end, m.tenant, m.not_before, m.topic, m.job,
         m.body, m.reason
    from unnest(p_id, p_shard, p_tenant, p_not_before, p_topic, p_job, p_body, p_reason)
      m(id, shard, tenant, not_before, topic, job, body, reason)
   order by m.id
  on conflict (id) do update
    set not_before = excluded.not_before, body = excluded.body, reason = excluded.reason,
        rev = nextval('outbox_rev')
$$;
