"""SQL tests of the schema, invariant by invariant, against a real PostgreSQL.

    cluster     the private server and the databases copied from a migrated one
    ledger      the functions as Python: charge, reversal, post, close, pay; threads that start together
    model       visits, bills and money in plain Python, which random tests compare the database with
"""
