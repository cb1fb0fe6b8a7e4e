"""Studio: image grading and minimatic export."""

__version__ = "0.1.0"
