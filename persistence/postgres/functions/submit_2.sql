-- Accept submissions: idempotency claims, then jobs, inputs, steps, batches, budgets and outbox rows of those
-- that won their claim (or made none). Returns the claims that were lost, as they stand.
-- A claim that waits for another transaction's sees its outcome: every statement has its own snapshot. A claim
-- that is lost is locked, so that it cannot be swept before it is told; one that was swept meanwhile is made anew.
create function submit_2(
  p_claim_tenant text[], p_claim_key text[], p_claim_hash bytea[], p_claim_target uuid[],
  p_batch uuid[], p_batch_tenant text[], p_batch_total int[],
  p_id uuid[], p_target uuid[], p_tenant text[], p_batch_of uuid[], p_recipe text[], p_recipe_hash text[],
  p_lane smallint[], p_deadline timestamptz[], p_budget bigint[], p_tags text[], p_trace text[],
  p_input bytea[], p_step text[], p_message uuid[], p_shard smallint[], p_topic smallint[], p_body bytea[],
  p_retry_of uuid[]
) returns table (tenant_id text, key text, body_hash bytea, target_id uuid)
language plpgsql as $$
#variable_conflict use_column
declare
  lost uuid[] := p_claim_target;
  locked int;
begin
  while cardinality(lost) > 0 loop
    with won as (
      insert into idempotency (tenant_id, key, body_hash, target_id)
      select * from unnest(p_claim_tenant, p_claim_key, p_claim_hash, p_claim_target) c(tenant, key, hash, target)
       where c.target = any (lost)
      order by c.tenant, c.key
      on conflict do nothing
      returning target_id)
    select coalesce(array_agg(c), '{}') into lost
      from unnest(lost) c where c not in (select target_id from won);
    exit when cardinality(lost) = 0;
    select count(*) into locked
      from (select 1 from idempotency i
              join unnest(p_claim_tenant, p_claim_key, p_claim_target) c(tenant, key, target)
                on i.tenant_id = c.tenant and i.key = c.key
             where c.target = any (lost) and i.key = any (p_claim_key)
             order by i.tenant_id, i.key for share of i) s;
    exit when locked = cardinality(lost);
  end loop;

  insert into batches (id, tenant_id, total)
  select b.id, b.tenant, b.total from unnest(p_batch, p_batch_tenant, p_batch_total) b(id, tenant, total)
   where b.id <> all (lost);

  insert into jobs (id, tenant_id, batch_id, recipe, recipe_hash, lane, deadline, budget_nanos, tags, traceparent,
                    retry_of)
  select j.id, j.tenant, j.batch, j.recipe, j.hash, j.lane, j.deadline, j.budget,
         case when j.tags = '' then '{}'::text[] else string_to_array(j.tags, e'\x1f') end, j.trace, j.retry_of
    from unnest(p_id, p_target, p_tenant, p_batch_of, p_recipe, p_recipe_hash, p_lane, p_deadline, p_budget,
                p_tags, p_trace, p_retry_of)
      j(id, target, tenant, batch, recipe, hash, lane, deadline, budget, tags, trace, retry_of)
   where j.target <> all (lost);

  insert into job_inputs (job_id, body)
  select j.id, j.input from unnest(p_id, p_target, p_input) j(id, target, input) where j.target <> all (lost);

  insert into steps (job_id, step)
  select j.id, j.step from unnest(p_id, p_target, p_step) j(id, target, step) where j.target <> all (lost);

  insert into budgets (tenant_id, scope, scope_key, limit_nanos)
  select j.tenant, 'job', j.id::text, j.budget
    from unnest(p_id, p_target, p_tenant, p_budget) j(id, target, tenant, budget)
   where j.budget is not null and j.target <> all (lost);

  if array_remove(p_deadline, null) <> '{}' then
    insert into deadlines (look_at, job_id)
    select j.deadline, j.id from unnest(p_id, p_target, p_deadline) j(id, target, deadline)
     where j.deadline is not null and j.target <> all (lost);
  end if;

  insert into outbox (id, shard, lane, tenant_id, deadline, topic, job_id, body, traceparent)
  select j.message, j.shard, j.lane, j.tenant, coalesce(j.deadline, 'infinity'), j.topic, j.id, j.body, j.trace
    from unnest(p_message, p_target, p_shard, p_lane, p_tenant, p_deadline, p_topic, p_id, p_body, p_trace)
      j(message, target, shard, lane, tenant, deadline, topic, id, body, trace)
   where j.target <> all (lost);

  if cardinality(lost) > 0 then
    return query
      select i.tenant_id, i.key, i.body_hash, i.target_id
        from idempotency i
        join unnest(p_claim_tenant, p_claim_key, p_claim_target) c(tenant, key, target)
          on i.tenant_id = c.tenant and i.key = c.key
       where c.target = any (lost) and i.key = any (p_claim_key);
  end if;
end $$;
