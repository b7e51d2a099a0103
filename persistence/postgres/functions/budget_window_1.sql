-- When the window began in which a budget stands at a time (``persistence.budget_window`` says when it ends, and a
-- test holds the two together). A budget row whose window_start is earlier has nothing settled yet.
create function budget_window_1(p_window text, p_at timestamptz) returns timestamptz language sql stable as $$
  select case p_window when 'day' then date_trunc('day', p_at, 'UTC')
                       when 'month' then date_trunc('month', p_at, 'UTC')
                       else '-infinity'::timestamptz end
$$;
