"""The relay: moves outbox rows to Kafka, one leader per shard. Steps fairly and at least once; public records
exactly once. It decides nothing about jobs and reads no message.
"""
