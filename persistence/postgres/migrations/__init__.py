"""Alembic's migrations, applied by ``headrace migrate`` and ``python -m persistence migrate``."""
