"""What no public surface shows, asked of Postgres: messages left over in the queue. No part of the checker's verdict
on the promises, which knows the public surfaces alone.
"""

import asyncpg

_LEFT = """
select o.topic, coalesce(o.reason, 'ready') as why, coalesce(j.state::text, 'gone') as state, count(*) as n,
       min(o.job_id::text) as example
  from outbox o left join jobs j on j.id = o.job_id group by 1, 2, 3 order by 1, 2, 3
"""


async def look_inside(database_url: str) -> list[str]:
    """Return what is wrong behind the surfaces, in plain words."""
    connection = await asyncpg.connect(database_url)
    try:
        return [
            f"{row['n']} rows for topic {row['topic']} are left in the outbox ({row['why']}; jobs in state"
            f" {row['state']}, one is {row['example']})"
            for row in await connection.fetch(_LEFT)
        ]
    finally:
        await connection.close()
