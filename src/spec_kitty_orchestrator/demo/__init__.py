"""Plays the person who owns a project, with git and the host; only its command and the tests use it."""
