"""What `make run` and `make stack` start: the processes and the real servers."""
