"""Reports on a person, a team and a role, each one HTML page that prints well and needs no network."""
