"""What no public surface shows, asked of Postgres: messages left over in the queue. No part of the checker's verdict
on the promises, which knows the public surfaces alone.
"""

import asyncpg


async def look_inside(database_url: str) -> list[str]:
    """Return what is wrong behind the surfaces, in plain words."""
    connection = await asyncpg.connect(database_url)
    try:
        left = await connection.fetch("select topic, count(*) as n from outbox group by 1")
        return [f"{row['n']} rows for topic {row['topic']} are left in the outbox" for row in left]
    finally:
        await connection.close()
