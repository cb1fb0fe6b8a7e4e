"""Suggest: words to sliders, by a language model."""
