"""The oracle's accounts: what the books know of one visit, its lines and its bills. Nothing of feeds, and nothing of other visits."""


class Document:
    """A bill, interim bill, supplement, credit note or void note."""

    def __init__(self, kind, subtotals, interim=False):
        self.kind = kind
        self.subtotals = subtotals
        self.total = sum(subtotals)
        self.interim = interim      # issued while the visit was open
        self.state = "settled" if self.total == 0 else "open"
        self.paid = 0
        self.credited = 0
        self.early = []             # lines.Pay, made at once by who settled before the end
        self.pays = []              # lines.Pay, as Day plans them

    @property
    def outstanding(self):
        return 0 if self.state == "void" else self.total - self.paid - self.credited

    def take(self, fen, is_credit=False):
        if is_credit:
            self.credited += fen
        else:
            self.paid += fen
        if self.outstanding == 0:
            self.state = "settled"


class Booked:
    """A line in the books, and what reversals have taken from it."""

    def __init__(self, feed, line, category, quantity, amount):
        self.feed = feed
        self.line = line
        self.category = category
        self.quantity = quantity
        self.amount = amount
        self.taken = 0
        self.taken_quantity = 0


class Account:
    """What the books know of one visit."""

    def __init__(self, visit_no):
        self.visit_no = visit_no
        self.state = "open"
        self.by_id = {}             # (feed, the number that it was sent under, source) -> Booked
        self.order = []             # Booked, as they were booked
        self.billed = 0             # how many of them are on a bill that stands
        self.documents = []
        self.captures = []          # money taken elsewhere: what of each is not applied yet
        self.into = None            # the Account that a merged one went into
        self.absorbed = False       # others went into this one

    @property
    def total(self):
        return sum(booked.amount for booked in self.order)

    def went_through(self, visit_no):
        """Is that this visit's number, or of one that it went into or through?"""
        way = self
        while way is not None and way.visit_no != visit_no:
            way = way.into
        return way is not None

    def book(self, feed, line, category, quantity, amount):
        booked = Booked(feed, line, category, quantity, amount)
        self.by_id[feed, line.visit_no, line.source] = booked
        self.order.append(booked)
        return "late" if self.state in ("billed", "settled") else "posted"

    def issue(self, interim=False):
        """A document over what is not billed yet, if there is anything."""
        fresh = self.order[self.billed:]
        if not fresh:
            return None
        subtotals = [0] * 14
        for booked in fresh:
            subtotals[booked.category - 1] += booked.amount
        closed = any(d.state != "void" and not d.interim for d in self.documents)
        kind = "credit_note" if sum(subtotals) < 0 else "interim" if interim else "supplement" if closed else "bill"
        document = Document(kind, subtotals, interim)
        self.documents.append(document)
        self.billed = len(self.order)
        self.apply_credit()
        return document

    def apply_credit(self):
        """Credit notes, then money taken elsewhere, to the oldest bills that are owed."""
        for bill in self.documents:
            for note in self.documents:
                if bill.state == "open" and bill.total > 0 > note.outstanding:
                    amount = min(-note.outstanding, bill.outstanding)
                    bill.take(amount, is_credit=True)
                    note.take(-amount, is_credit=True)
            for i, rest in enumerate(self.captures):
                if bill.state == "open" and bill.total > 0 < rest:
                    amount = min(rest, bill.outstanding)
                    bill.take(amount)
                    self.captures[i] -= amount

    def void(self):
        """Bills that nobody has begun to pay are taken back; once one is, all of them stand."""
        standing = [d for d in self.documents if d.state != "void"]
        if any(d.paid > 0 for d in standing):
            return
        for bill in standing:
            note = Document("void_note", [-amount for amount in bill.subtotals])
            note.state = bill.state = "void"
            self.documents.append(note)
        self.billed = 0

    def settle(self):
        owed = any(d.state == "open" and d.total > 0 for d in self.documents)
        self.state = "billed" if owed else "settled"
