-- Settle a micro-batch in one round trip: how each attempt ended, what it cost its budgets and the usage of the
-- day, and the successors of those that are tried again. A row that may not change its state stays as it is
-- (settling twice is settling once); an unknown row takes a late answer, and its charge is corrected. Only what was
-- still reserved is tried again (r_of: the place of each successor's attempt): of what was given to another worker
-- that one takes care, and of what was settled before the first time did.
-- Money counts in the window in which it settles. A correction that gives money back goes to the window of the
-- charge it corrects, and to nothing if that window is over: it must not pay for calls of another.
-- Returns the budgets that have jobs on hold, which may fit by now; null: none.
-- A session keeps its plans until the tables are analysed: those made while they are small must be right when they
-- have grown, so none of them may be sequential.
create function settle_3(
  p_job uuid[], p_step text[], p_item int[], p_attempt int[], p_tenant text[], p_recipe text[], p_state smallint[],
  p_cost bigint[], p_raw bytea[], p_served text[], p_request text[], p_finish text[], p_error text[], p_input int[],
  p_cached int[], p_output int[], p_latency int[], p_final boolean[],
  r_id uuid[], r_shard smallint[], r_tenant text[], r_not_before timestamptz[], r_topic smallint[], r_job uuid[],
  r_body bytea[], r_reason text[], r_of int[]
) returns bigint[] language plpgsql set enable_seqscan = off as $$
declare
  v_budgets bigint[];
  v_late boolean;
  v_now timestamptz;
  v_wake bigint[];
  v_again bigint[];
begin
  select array_agg(distinct u.budget_id) filter (where u.budget_id is not null), bool_or(s.state = 3)
    into v_budgets, v_late
    from (select a.budget_ids, a.state from attempts a
            join unnest(p_job, p_step, p_item, p_attempt) k(job, step, item, attempt)
              on a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt
           where a.job_id = any (p_job)
           order by a.job_id, a.step, a.item, a.attempt for no key update of a) s
    left join lateral unnest(s.budget_ids) u(budget_id) on true;
  if v_budgets is null then
    v_now := clock_timestamp();
  else
    perform 1 from budgets b where b.id = any (v_budgets) order by b.id for no key update;
    v_now := clock_timestamp();
    update budgets b
       set reserved_nanos = b.reserved_nanos - d.freed,
           settled_nanos = d.spent + case when b.window_start < budget_window_1(b.time_window, v_now) then 0
                                          else b.settled_nanos end,
           window_start = greatest(b.window_start, budget_window_1(b.time_window, v_now))
      from (select u.budget_id,
                   sum(case when a.state = 0 then a.reserved_nanos else 0 end) as freed,
                   sum(case when a.state = 0 then k.cost
                            when k.cost < a.cost_nanos
                                 and a.ended_at < (select budget_window_1(w.time_window, v_now)
                                                     from budgets w where w.id = u.budget_id) then 0
                            else k.cost - a.cost_nanos end) as spent
              from attempts a
              join unnest(p_job, p_step, p_item, p_attempt, p_state, p_cost) k(job, step, item, attempt, state, cost)
                on a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt
             cross join lateral unnest(a.budget_ids) u(budget_id)
             where a.job_id = any (p_job) and attempt_may_1(a.state, k.state)
             group by u.budget_id) d
     where b.id = d.budget_id and b.id = any (v_budgets);
    select array_agg(b) into v_wake from unnest(v_budgets) b
     where exists (select 1 from holds h where h.budget_id = b and h.released_at is null);
  end if;
  if v_late then
    insert into usage_deltas (tenant_id, recipe, day, attempts, unknown, cost_nanos, estimated_nanos)
    select k.tenant, k.recipe, (v_now at time zone 'UTC')::date, -count(*), -count(*), -sum(a.cost_nanos),
           -sum(a.cost_nanos)
      from attempts a
      join unnest(p_job, p_step, p_item, p_attempt, p_tenant, p_recipe, p_state)
        k(job, step, item, attempt, tenant, recipe, state)
        on a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt
     where a.job_id = any (p_job) and a.state = 3 and attempt_may_1(a.state, k.state)
     group by k.tenant, k.recipe;
  end if;
  if cardinality(r_id) > 0 then
    select array_agg(r.place) into v_again
      from unnest(r_of) with ordinality r(i, place)
      join attempts a on a.job_id = p_job[r.i] and a.step = p_step[r.i] and a.item = p_item[r.i]
                     and a.attempt = p_attempt[r.i]
     where a.job_id = any (p_job) and a.state = 0;
  end if;
  with changed as (
    update attempts a
       set state = k.state, cost_nanos = k.cost, raw = coalesce(k.raw, a.raw), model_served = k.served,
           request_id = k.request, finish_reason = k.finish, error_code = k.error, input_tokens = k.input,
           cached_tokens = k.cached, output_tokens = k.output, latency_ms = k.latency, final = k.final,
           ended_at = v_now
      from unnest(p_job, p_step, p_item, p_attempt, p_tenant, p_recipe, p_state, p_cost, p_raw, p_served, p_request,
                  p_finish, p_error, p_input, p_cached, p_output, p_latency, p_final)
        k(job, step, item, attempt, tenant, recipe, state, cost, raw, served, request, finish, error, input, cached,
          output, latency, final)
     where a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt = k.attempt
       and a.job_id = any (p_job) and attempt_may_1(a.state, k.state)
    returning k.tenant, k.recipe, k.state, k.cost, k.input, k.cached, k.output)
  insert into usage_deltas (tenant_id, recipe, day, attempts, answered, failed, unknown, input_tokens, cached_tokens,
                            output_tokens, cost_nanos, estimated_nanos)
  select c.tenant, c.recipe, (v_now at time zone 'UTC')::date, count(*), count(*) filter (where c.state = 1),
         count(*) filter (where c.state = 2), count(*) filter (where c.state = 3), sum(c.input), sum(c.cached),
         sum(c.output), sum(c.cost), coalesce(sum(c.cost) filter (where c.state = 3), 0)
    from changed c group by c.tenant, c.recipe;
  if v_again is not null then
    perform park_1(array_agg(r.id), array_agg(r.shard), array_agg(r.tenant), array_agg(r.not_before),
                   array_agg(r.topic), array_agg(r.job), array_agg(r.body), array_agg(r.reason))
       from unnest(r_id, r_shard, r_tenant, r_not_before, r_topic, r_job, r_body, r_reason) with ordinality
              r(id, shard, tenant, not_before, topic, job, body, reason, place)
      where r.place = any (v_again);
  end if;
  return v_wake;
end $$;
