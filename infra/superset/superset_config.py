"""Superset's settings. What differs from place to place comes from the environment; see infra/superset/superset."""

import os

SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ["SUPERSET_METADATA"]  # of Superset itself; use PostgreSQL where many work with it
PREVENT_UNSAFE_DB_CONNECTIONS = False  # DuckDB reads a file of this machine, opened read-only
FEATURE_FLAGS = {"DASHBOARD_RBAC": True}
CONTENT_SECURITY_POLICY_WARNING = False
