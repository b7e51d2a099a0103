"""The servers of one machine: started cold, restarted with their data, refused twice, healed."""

import json
import urllib.request

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from redis.asyncio import Redis

from headrace.local.stack import Stack

pytestmark = pytest.mark.stack


async def test_all_servers_serve(stack: Stack) -> None:
    endpoints = stack.endpoints

    connection = await asyncpg.connect(endpoints.database_url)
    try:
        assert await connection.fetchval("show fsync") == "on"
        assert (
            await connection.fetchval("select count(*) from pg_available_extensions where name = 'vector'")
            == 1
        )
    finally:
        await connection.close()

    redis = Redis.from_url(endpoints.redis_url)
    assert await redis.ping()
    await redis.aclose()

    admin = AIOKafkaAdminClient(bootstrap_servers=endpoints.kafka_bootstrap)
    await admin.start()
    try:
        assert len((await admin.describe_cluster())["brokers"]) == 1
    finally:
        await admin.close()

    with urllib.request.urlopen(f"{endpoints.elasticsearch_url}/_cluster/health") as answer:
        assert json.load(answer)["status"] == "green"
