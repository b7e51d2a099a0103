-- The legal transitions of an attempt; ``persistence.postgres.states.TRANSITIONS`` says the same, and a test
-- compares them. reserved (0) ends as answered (1), failed (2) or unknown (3); unknown takes a late answer.
-- No statement changes an attempt's state but under this condition. It is inlined: it costs nothing.
create function attempt_may_1(p_from smallint, p_to smallint) returns boolean language sql immutable as $$
  select (p_from = 0 and p_to in (1, 2, 3)) or (p_from = 3 and p_to = 1)
$$;
