"""The one-machine stack: real servers and the five services as child processes. Linux only."""
