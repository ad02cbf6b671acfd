"""The WeChat Pay APIv3 channel simulator, in parts.

It plays the channel's side of the wire for tests and for the demo, and shares no code with the daemon: what the
daemon signs is verified here by other code, and what is signed here is verified there.

    keys          the merchant's and the platform's key material in one directory
    wire          signatures, the Authorization header, the encrypted resource, error replies
    validation    the body of a native order, field by field
    orders        the order book: what is owed, paid and closed; it survives a restart
    transaction   the transaction object of queries and notifications, and its falsified forms
    notify        notifications: sending, answers, retries
    faults        failures that a test has asked for
    merchant_api  /v3/..., signed both ways
    control_api   /sim/..., the patient's phone and the test's view, unsigned
    server        HTTP/1.1 and the process
"""
