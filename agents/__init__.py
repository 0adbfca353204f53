"""Thin edges: the agents of the topics, and the command line that puts everything together."""
