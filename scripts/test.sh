#!/usr/bin/env bash
# All tests in three lanes side by side, each with its own servers: the tests mostly wait for those. The third lane
# begins with the types and what needs no servers. The output of the second and third is printed whole, at the end.
# Run from the repository's root, by make test.
set -u

PY=.venv/bin/python
SECOND="tests/integration/persistence tests/integration/recovery tests/integration/relay tests/integration/search"
THIRD="tests/integration/bench tests/integration/local/test_supervisor.py tests/integration/local/test_up.py"
SERVED="(stack or llm) and not chaos"
logs=$(mktemp -d)
elsewhere=""
for path in $SECOND $THIRD; do elsewhere="$elsewhere --ignore=$path"; done

# shellcheck disable=SC2086  # lists of words
second() { "$PY" -m pytest --durations=10 -m "$SERVED" $SECOND; }

third() {
    "$PY" -m mypy && .venv/bin/lint-imports && "$PY" -m pytest -m "not stack and not llm and not chaos"
    pure=$?
    # shellcheck disable=SC2086
    "$PY" -m pytest --durations=10 -m "$SERVED" $THIRD && return "$pure"
}

set -m # process groups, so that lanes can be interrupted whole
second >"$logs/second" 2>&1 &
beside=$!
third >"$logs/third" 2>&1 &
last=$!
set +m
interrupt() {
    for lane in "$beside" "$last"; do kill -INT -- "-$lane" 2>/dev/null && wait "$lane"; done
    rm -rf "$logs"
}
trap interrupt EXIT
trap 'exit 130' INT TERM

failed=""
# shellcheck disable=SC2086
"$PY" -m pytest --durations=10 -m "$SERVED" $elsewhere || failed="$failed first"
wait "$beside" || failed="$failed second"
wait "$last" || failed="$failed third"
cat "$logs/second" "$logs/third"
if [ -n "$failed" ]; then
    echo "failed lanes:$failed" >&2
    exit 1
fi
