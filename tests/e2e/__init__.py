"""End-to-end tests: the real programs against a real PostgreSQL.

    cluster     a private PostgreSQL and databases in it, the fixtures `cluster` and `database`
    hospital    databases with something in them, filled without the daemon
    foes        hostile peers, and how the daemon fares meanwhile
    secure      TLS clients and certificates
    injector    between the daemon and PostgreSQL: single statements fail, are cut, stop half way
    storm       two daemons, two servers, and everything fails
    qr_reader   reads QR codes off the terminal
"""
