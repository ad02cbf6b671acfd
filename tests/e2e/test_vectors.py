"""Every file of tests/vectors/hl7 through the running daemon. What must come back and what must be in the books is the table in the README.md beside
them: this file reads the table and knows no message by itself."""

import re

import pytest

from .feeds import frame
from .live import ROOT, wait_until

VECTORS = ROOT / "tests/vectors/hl7"
REASONS = {*re.findall(r'^\t\{"(\w+)", ', (ROOT / "proto/reason.c").read_text("utf-8"), re.M), "original_unknown"} - {"held"}
AMOUNT = re.compile(r"-?\d+\.\d\d\b")


class Row:
    """One row of the table: what a file is answered with, and what it leaves behind."""

    def __init__(self, answer, books):
        told = answer.partition(";")[0]
        self.codes = [code for count, code in re.findall(r"(?:(\d+) × )?\b([AC][AER])\b", re.sub(r"\(.*?\)", "", told)) for _ in range(int(count or 1))]
        self.places = re.findall(r"\b(\d{3}) at ([A-Z0-9]{3}\^[\d^]*\d)", told)
        self.errors = {code for code in re.findall(r"\b(\d{3})\b", re.sub(r"\^[\d^]+", "", told)) if 100 <= int(code) <= 207}
        self.is_batch, self.count = told.startswith("BHS"), re.search(r"BTS\\\|(\d+)", told)
        self.waits = {word for word in re.findall(r"\w+", books.partition("; else ")[0]) if word in REASONS}
        self.booked_later = "booked by itself" in books
        self.lines = re.search(r"\b(\d+) lines?\b(?! in quarantine)", books.partition("; else ")[0])
        self.each = "on each of" in books
        self.nothing = books.startswith(("nothing", "no visit"))
        self.amounts = set(AMOUNT.findall(books))
        self.states = dict(re.findall(r"\b(VX\w+) (open|merged|cancelled|discharged)", books))
        self.billed = "then billed" in books


def table():
    path = VECTORS / "README.md"
    rows = re.findall(r"^\| (\S+\.hl7) \| (.*?) \| (.*) \|$", path.read_text("utf-8") if path.exists() else "", re.M)
    return {name: Row(answer, books) for name, answer, books in rows}


TABLE = table()


def frames_of(name):
    """A frame for each MSH; batches and malformed files are one."""
    data = (VECTORS / name).read_bytes()
    if name.startswith(("batch", "malformed")):
        return [data]
    return [part for part in re.split(rb"(?i)(?<=[\r\n])(?=MSH)", data) if part.strip()]


def messages_of(frames):
    """The messages of the frames as quarantine keeps them: a batch's without its envelope."""
    found = list(frames)
    for content in frames:
        parts = re.split(rb"(?<=[\r\n])(?=MSH)", content)
        found += [part for whole in parts for part in (re.split(rb"[\r\n]+(?=[BF]TS)", whole)[0], whole.rstrip(b"\r\n"))]
    return found


def play(house, frames):
    """What came back: the contents of all frames. A message behind each one shows when it is over, and that the connection goes on."""
    answers = []
    with house.clinic.connect() as line:
        for number, content in enumerate(frames):
            behind = house.clinic.message("ADT^A28", house.clinic.pid("nobody"), control=f"BEHIND-{number}")
            line.write(frame(content) + frame(behind.encode()))
            while True:
                answer, = line.frames(1)
                if f"MSA|AA|BEHIND-{number}".encode() in answer:
                    break
                answers.append(answer)
    return answers


def books(house, frames):
    """The file's visits with their totals and states, the number of its lines, and the reasons that wait in quarantine for its messages."""
    numbers = sorted({number.decode() for content in frames for number in re.findall(rb"\bVX\d+[A-Z]*\b", content)})
    visits = {number: (total, state) for number, total, state in house.rows("select visit_no, total, state from visit where visit_no = any (%s)", numbers)}
    lines = house.value("select count(*) from charge join visit using (visit_id) where visit_no = any (%s) and feed_id > 0 and merged_into is null", numbers)
    waiting = {reason for reason, in house.rows(
        "select reason from quarantine_open join quarantine_kept using (message_id) where bytes = any (%s) and content_type = 'hl7'", messages_of(frames))}
    return visits, lines, waiting


def yuan(fen):
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02}"


@pytest.mark.skipif(not TABLE, reason="no vectors")
def test_every_file_is_in_the_table():
    assert sorted(TABLE) == sorted(path.name for path in VECTORS.glob("*.hl7"))


@pytest.mark.parametrize("name", sorted(TABLE))
def test_vector(house, name):
    row, frames = TABLE[name], frames_of(name)
    answers = play(house, frames)
    text = "\r".join(answer.decode("latin-1") for answer in answers)
    assert re.findall(r"\rMSA.([AC][AER])", text) == row.codes, text
    for code, place in row.places:
        assert re.search(rf"ERR\|\|?{re.escape(place)}[|^]{code}\b", text), (place, code, text)
    errors = set(re.findall(r"(?<=[|^])(\d{3})(?=[\^&][A-Z])", text))
    assert errors == row.errors or not row.errors and row.codes[-1][1] != "A", text      # the table does not name all
    if row.is_batch:
        assert text.startswith("BHS") and re.search(rf"\rBTS.{row.count[1]}\b", text), text

    if row.booked_later:
        wait_until(lambda: books(house, frames)[2] == set(), "the held line to be booked")
        row.waits.clear()
    visits, lines, waiting = books(house, frames)
    assert waiting == row.waits
    totals = {yuan(total) for total, _ in visits.values()} | {yuan(sum(total for total, _ in visits.values()))}
    if row.nothing:
        assert lines == 0 and all(total == 0 for total, _ in visits.values()), visits
    elif row.amounts:
        assert totals & row.amounts, (visits, row.amounts)
    if row.lines and not row.nothing:
        assert lines == int(row.lines[1]) * (len(visits) if row.each else 1), (visits, lines)
    for visit, state in row.states.items():
        assert visits[visit][1] in ((state, "billed", "settled") if row.billed else (state,)), visits

    play(house, frames)     # a second time: the same books
    after = books(house, frames)
    assert {visit: total for visit, (total, _) in after[0].items()} == {visit: total for visit, (total, _) in visits.items()} and after[1:] == (lines, waiting)


def test_the_books_agree_after_all_vectors(house):
    assert house.broken() == []
