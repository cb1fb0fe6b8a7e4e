"""Exporting a project to a film by a job of a state machine, segment by segment."""
