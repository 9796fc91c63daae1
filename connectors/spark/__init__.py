"""Spark as the engine of the models: the session that they run in, and what stands around a dbt run there."""
