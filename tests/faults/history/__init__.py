"""A history checker: clients write and read through the HTTP API while processes, servers and
connections are killed, frozen and cut; afterwards a checker compares what the clients were
told with what the store, the log and the read models hold.

The checker (facts, fold, sources, rules, checker) imports nothing of the project, so that a
fault of the project's code cannot hide in it.
"""
