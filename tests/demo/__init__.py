"""The demo's hospital day: a generator that is its own oracle, players for feeds and payers, and the books' check.

    catalogue   the price list
    prices      and what messages make of it, day by day
    people      patients, departments, doctors
    care        what a visit consumes
    lines       charge lines, messages and exact money
    script      what a script is made of
    day         the script of a day, seeded
    deviants    what goes wrong in it, on purpose
    stories     settle now, chains of merges, a price that changes
    branch      the script of the branch's day, whose visits close rules end
    oracle      what the books must say about it
    accounts    of each visit
    wire        messages as HL7 and JSON
    vendors     messages as four vendors' systems send them, and the branch's settings
    feeds       plays the script over sockets
    kiosk       settles before the end
    payers      kiosks, phones and the cash desk
    books       the books against the oracle, and the table at the end
    told        the stories' figures, and in words
    progress    the line that says how far it is
    houses      a city's facilities and their settings
    city        a day of all of them, by several processes
    ledgers     the books of each facility
    usage       what a day used
    play        the conductor
"""
