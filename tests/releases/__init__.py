"""Data folders as past releases left them: `proficio backup` of a small home by each, and what was in it."""
