"""The demo's hospital day: a generator that is its own oracle, players for feeds and payers, and the books' check.

    catalogue   the price list
    people      patients, departments, doctors
    care        what a visit consumes
    lines       charge lines, messages and exact money
    day         the script of a day, seeded
    deviants    what goes wrong in it, on purpose
    oracle      what the books must say about it
    wire        messages as HL7 and JSON
    feeds       plays the script over sockets
    payers      kiosks, phones and the cash desk
    books       the books against the oracle, and the table at the end
    progress    the line that says how far it is
    houses      a city's facilities and their settings
    city        a day of all of them, by several processes
    ledgers     the books of each facility
    usage       what a day used
    play        the conductor
"""
