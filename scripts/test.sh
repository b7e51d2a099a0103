#!/bin/sh
# All tests: those without servers, and the types, run beside those with, which mostly wait for their servers.
# Each side's output is printed whole. Run from the repository's root, by make test.
set -u

PY=.venv/bin/python
pure=$(mktemp)

{ "$PY" -m mypy && .venv/bin/lint-imports && "$PY" -m pytest -m "not stack and not llm and not chaos"; } >"$pure" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null; rm -f "$pure"' EXIT
trap 'exit 130' INT TERM

served_failed=0
"$PY" -m pytest --durations=10 -m "(stack or llm) and not chaos" || served_failed=$?
pure_failed=0
wait "$beside" || pure_failed=$?
cat "$pure"
if [ "$served_failed" != 0 ] || [ "$pure_failed" != 0 ]; then
    echo "failed: with servers $served_failed, without $pure_failed (exit codes; 0 is good)" >&2
    exit 1
fi
