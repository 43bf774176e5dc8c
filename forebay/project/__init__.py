"""A project folder, read into frozen values."""
