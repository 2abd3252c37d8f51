"""Protocol languages, sans-I/O: grammar and state machines. No clock, no randomness, no log, no await."""
