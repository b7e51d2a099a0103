"""The command line and the one-machine stack. Stages are run as child processes, never imported."""
