"""One run in one process tree, with no daemon: for CI services, whose machines are thrown away."""
