-- Settle a micro-batch in one round trip: how each attempt ended, what it cost its budgets, and the successors
-- of those that are tried again. A row that is already answered or failed stays as it is (settling twice is
-- settling once); an unknown row takes a late answer and the difference goes back to its budgets.
create function settle_1(
  p_job uuid[], p_step text[], p_item int[], p_attempt int[], p_state smallint[], p_cost bigint[], p_raw bytea[],
  p_served text[], p_request text[], p_finish text[], p_error text[], p_input int[], p_cached int[], p_output int[],
  p_latency int[], p_final boolean[],
  r_id uuid[], r_shard smallint[], r_tenant text[], r_not_before timestamptz[], r_topic smallint[], r_job uuid[],
  r_body bytea[], r_reason text[]
) returns int language plpgsql as $$
declare
  budgeted boolean;
  changed int;
begin
  select coalesce(bool_or(cardinality(s.budget_ids) > 0), false) into budgeted
    from (select a.budget_ids from attempts a
            join unnest(p_job, p_step, p_item, p_attempt) k(job, step, item, attempt)
              on a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt
           where a.job_id = any (p_job)
           order by a.job_id, a.step, a.item, a.attempt for no key update of a) s;
  if budgeted then
    perform 1 from budgets b
      where b.id in (select unnest(a.budget_ids) from attempts a where a.job_id = any (p_job))
      order by b.id for no key update;
    update budgets b
       set reserved_nanos = b.reserved_nanos - d.freed, settled_nanos = b.settled_nanos + d.spent
      from (select u.budget_id,
                   sum(case when a.state = 0 then a.reserved_nanos else 0 end) as freed,
                   sum(case when a.state = 0 then k.cost else k.cost - a.cost_nanos end) as spent
              from attempts a
              join unnest(p_job, p_step, p_item, p_attempt, p_state, p_cost) k(job, step, item, attempt, state, cost)
                on a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt
             cross join lateral unnest(a.budget_ids) u(budget_id)
             where a.job_id = any (p_job) and (a.state = 0 or (a.state = 3 and k.state = 1))
             group by u.budget_id) d
     where b.id = d.budget_id;
  end if;
  update attempts a
     set state = k.state, cost_nanos = k.cost, raw = coalesce(k.raw, a.raw), model_served = k.served,
         request_id = k.request, finish_reason = k.finish, error_code = k.error, input_tokens = k.input,
         cached_tokens = k.cached, output_tokens = k.output, latency_ms = k.latency, final = k.final,
         ended_at = now()
    from unnest(p_job, p_step, p_item, p_attempt, p_state, p_cost, p_raw, p_served, p_request, p_finish, p_error,
                p_input, p_cached, p_output, p_latency, p_final)
      k(job, step, item, attempt, state, cost, raw, served, request, finish, error, input, cached, output, latency,
        final)
   where a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt
     and a.job_id = any (p_job) and (a.state = 0 or (a.state = 3 and k.state = 1));
  get diagnostics changed = row_count;
  if cardinality(r_id) > 0 then
    perform park_1(r_id, r_shard, r_tenant, r_not_before, r_topic, r_job, r_body, r_reason);
  end if;
  return changed;
end $$;
