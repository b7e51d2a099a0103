"""The command line and the one-machine stack. Imports stages only in composition roots; nothing runs at import."""
