"""Grading many images by one job of a state machine."""
