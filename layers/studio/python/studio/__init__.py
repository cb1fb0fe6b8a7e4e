"""Studio: image grading and minimatic export."""
