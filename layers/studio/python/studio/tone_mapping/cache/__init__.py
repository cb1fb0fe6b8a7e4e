"""The cache of graded images: S3 holds the pixels, MongoDB the index."""
