"""Compute tasks: work that outlives a request, run by a worker Lambda or a Batch job, and never lost."""
