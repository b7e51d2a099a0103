"""Finds what was lost between Postgres and Kafka, and publishes it again."""
