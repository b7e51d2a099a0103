"""Persistence: Postgres (the truth), the relay that turns outbox rows into records, the writer that ends jobs,
and the indexer that projects outputs into Elasticsearch.
"""
