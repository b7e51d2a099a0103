"""The API: admission, idempotency, group commit, long polls and the read side. Imports no other stage."""
