"""Request -> result: a run in a process of its own, pinned to an edition."""
