"""The edges: event log, lake, warehouse, sources and sinks. All I/O stands here."""
