"""Presets: built-in looks, and looks of the caller's own."""
