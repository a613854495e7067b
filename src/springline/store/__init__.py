"""PostgreSQL: one module per noun beside its sql/<noun>.sql, migrations/, and the bundled server.

May import `domain`. Nobody else speaks to the database.
"""
