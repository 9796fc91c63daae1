"""Prefect flows, the command line, the settings. Orchestration only: no parsing, no SQL."""
