#!/usr/bin/env bash
# All tests in two lanes side by side, each with its own servers: the tests mostly wait for those. The second lane
# begins with the types and what needs no servers. Each lane's output is printed whole. Run from the repository's
# root, by make test.
set -u

PY=.venv/bin/python
SECOND="tests/integration/persistence tests/integration/recovery tests/integration/relay tests/integration/search
    tests/integration/local/test_supervisor.py"
SERVED="(stack or llm) and not chaos"
second_log=$(mktemp)
not_second=""
for path in $SECOND; do not_second="$not_second --ignore=$path"; done

set -m # a process group for the second lane, so that it can be interrupted whole
{
    "$PY" -m mypy && .venv/bin/lint-imports && "$PY" -m pytest -m "not stack and not llm and not chaos"
    pure=$?
    # shellcheck disable=SC2086  # a list of words
    "$PY" -m pytest --durations=10 -m "$SERVED" $SECOND && exit "$pure"
} >"$second_log" 2>&1 &
beside=$!
set +m
trap 'kill -INT -- "-$beside" 2>/dev/null && wait "$beside"; rm -f "$second_log"' EXIT
trap 'exit 130' INT TERM

first_failed=0
# shellcheck disable=SC2086
"$PY" -m pytest --durations=10 -m "$SERVED" $not_second || first_failed=$?
second_failed=0
wait "$beside" || second_failed=$?
cat "$second_log"
if [ "$first_failed" != 0 ] || [ "$second_failed" != 0 ]; then
    echo "failed: first lane $first_failed, second lane $second_failed (exit codes; 0 is good)" >&2
    exit 1
fi
