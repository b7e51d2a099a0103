-- Reserve a micro-batch, all or nothing, in one round trip. False: the caller repeats it as a transaction with
-- the item-by-item decision. It changes no decision: if the sums fit every budget and every job may run, the
-- item-by-item decision accepts all of them. Lock order everywhere: jobs, attempts, budgets, each in id order.
-- A budget rolls over into the present window by the first statement that writes it: nothing is settled in it
-- yet, and what is reserved stays. The clock is read behind the locks, so windows only move forward, and an attempt
-- starts after what allowed it, before what forbids it, and never after its deadline: whoever waited is late.
-- A session keeps its plans until the tables are analysed: those made while they are small must be right when they
-- have grown, so none of them may be sequential.
create function reserve_try_3(
  p_job uuid[], p_step text[], p_item int[], p_attempt int[], p_tenant text[], p_recipe text[], p_batch uuid[],
  p_deployment text[], p_model text[], p_price text[], p_prompt text[], p_amount bigint[],
  p_scope_tenant text[], p_scope text[], p_scope_key text[], p_scope_amount bigint[], p_worker uuid
) returns boolean language plpgsql set enable_seqscan = off as $$
declare
  seen int;
  bad int;
  v_budgets bigint[];
  v_deadline timestamptz;
  v_now timestamptz;
begin
  select count(*), count(*) filter (where s.state <> 0 or s.hold_reason is not null), min(s.deadline)
    into seen, bad, v_deadline
    from (select state, hold_reason, deadline from jobs where id = any (p_job) order by id for share) s;
  if bad > 0 or seen <> (select count(distinct j) from unnest(p_job) j) then
    return false;
  end if;
  perform 1
     from attempts a
     join unnest(p_job, p_step, p_item, p_attempt) k(job, step, item, attempt)
       on a.job_id = k.job and a.step = k.step and a.item = k.item and a.attempt >= k.attempt
    where a.job_id = any (p_job) limit 1;
  if found then
    return false;
  end if;
  select array_agg(s.id),
         count(*) filter (where s.limit_nanos < s.reserved_nanos + s.amount
           + case when s.window_start < budget_window_1(s.time_window, clock_timestamp()) then 0
                  else s.settled_nanos end)
    into v_budgets, bad
    from (select b.id, b.limit_nanos, b.settled_nanos, b.reserved_nanos, b.time_window, b.window_start, x.amount
            from budgets b
            join unnest(p_scope_tenant, p_scope, p_scope_key, p_scope_amount) x(tenant, scope, key, amount)
              on b.tenant_id = x.tenant and b.scope = x.scope and b.scope_key = x.key
           where b.tenant_id = any (p_scope_tenant) and b.scope = any (p_scope) and b.scope_key = any (p_scope_key)
           order by b.id for no key update of b) s;
  v_now := clock_timestamp();
  if bad > 0 or v_deadline < v_now then
    return false;
  end if;
  -- A budget that came while this waited for another is not locked yet.
  perform 1
     from budgets b
     join unnest(p_scope_tenant, p_scope, p_scope_key) x(tenant, scope, key)
       on b.tenant_id = x.tenant and b.scope = x.scope and b.scope_key = x.key
    where b.tenant_id = any (p_scope_tenant) and b.scope = any (p_scope) and b.scope_key = any (p_scope_key)
      and b.id <> all (coalesce(v_budgets, '{}')) limit 1;
  if found then
    return false;
  end if;
  if v_budgets is null then
    insert into attempts (job_id, step, item, attempt, tenant_id, worker, deployment, model, price_version,
                          prompt_hash, reserved_nanos, started_at)
    select i.job, i.step, i.item, i.attempt, i.tenant, p_worker, i.deployment, i.model, i.price, i.prompt, i.amount,
           v_now
      from unnest(p_job, p_step, p_item, p_attempt, p_tenant, p_deployment, p_model, p_price, p_prompt, p_amount)
        i(job, step, item, attempt, tenant, deployment, model, price, prompt, amount);
    return true;
  end if;
  insert into attempts (job_id, step, item, attempt, tenant_id, worker, deployment, model, price_version,
                        prompt_hash, reserved_nanos, started_at, budget_ids)
  select i.job, i.step, i.item, i.attempt, i.tenant, p_worker, i.deployment, i.model, i.price, i.prompt, i.amount,
         v_now,
         array(select b.id from budgets b
                where b.id = any (v_budgets) and b.tenant_id = i.tenant
                  and (b.scope, b.scope_key) in (('tenant', ''), ('recipe', i.recipe),
                                                 ('batch', coalesce(i.batch::text, '-')), ('job', i.job::text))
                order by b.id)
    from unnest(p_job, p_step, p_item, p_attempt, p_tenant, p_recipe, p_batch, p_deployment, p_model, p_price,
                p_prompt, p_amount)
      i(job, step, item, attempt, tenant, recipe, batch, deployment, model, price, prompt, amount);
  update budgets b
     set reserved_nanos = b.reserved_nanos + x.amount,
         settled_nanos = case when b.window_start < budget_window_1(b.time_window, v_now) then 0
                              else b.settled_nanos end,
         window_start = greatest(b.window_start, budget_window_1(b.time_window, v_now))
    from unnest(p_scope_tenant, p_scope, p_scope_key, p_scope_amount) x(tenant, scope, key, amount)
   where b.tenant_id = x.tenant and b.scope = x.scope and b.scope_key = x.key and b.id = any (v_budgets);
  return true;
end $$;
