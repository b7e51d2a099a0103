"""Everything that speaks to Postgres: tables, migrations, hot statements, one named function per statement."""
