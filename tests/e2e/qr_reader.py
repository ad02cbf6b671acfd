"""Reads a QR code off a terminal's text, module by module (ISO/IEC 18004: versions 1 to 6, error correction level M).

No error correction: what a program drew is either right or wrong. It shares nothing with the library that drew it.
"""

import re

# version: codewords of data in each block
_BLOCKS = {1: [16], 2: [28], 3: [44], 4: [32, 32], 5: [43, 43], 6: [27, 27, 27, 27]}
_LEVEL_M = 0b00
_MASKS = (
    lambda y, x: (y + x) % 2, lambda y, x: y % 2, lambda y, x: x % 3, lambda y, x: (y + x) % 3,
    lambda y, x: (y // 2 + x // 3) % 2, lambda y, x: y * x % 2 + y * x % 3, lambda y, x: (y * x % 2 + y * x % 3) % 2,
    lambda y, x: ((y + x) % 2 + y * x % 3) % 2,
)


def modules(text, quiet=4):
    """The dark modules (True) of half blocks, without the quiet zone, which must be light all around. With ANSI colours what is
    drawn is dark; without, as on a dark terminal, what is drawn is light."""
    colored = "\033[30;47m" in text
    rows = []
    for line in text.splitlines():
        if colored:
            match = re.fullmatch(r" *\033\[30;47m([ ▀▄█]*)\033\[0m", line)
            drawn = match[1] if match else None
        else:
            drawn = line.strip(" ") if re.fullmatch(r" *[▀▄█][ ▀▄█]*", line) else None
        if drawn is None:
            continue
        rows.append([(c in "▀█") == colored for c in drawn])
        rows.append([(c in "▄█") == colored for c in drawn])
    width = len(rows[0])
    assert all(len(row) == width for row in rows), "the rows are not alike in width"
    assert len(rows) - width in (0, 1), f"{width} by {len(rows)} is no square"
    border = [c for y, row in enumerate(rows[:width]) for x, c in enumerate(row)
              if min(x, y) < quiet or max(x, y) >= width - quiet]
    assert not any(border), "the quiet zone is not light"
    return [row[quiet:-quiet] for row in rows[quiet:width - quiet]]


def _is_function(size, y, x):
    """Finder, separator, format, timing and alignment patterns carry no data."""
    corner = (y <= 8 and x <= 8) or (y <= 8 and x >= size - 8) or (y >= size - 8 and x <= 8)
    alignment = size > 21 and abs(y - (size - 7)) <= 2 and abs(x - (size - 7)) <= 2
    return corner or alignment or y == 6 or x == 6


def _bits(grid, mask):
    size = len(grid)
    column, upward = size - 1, True
    while column > 0:
        if column == 6:
            column -= 1
        for y in (range(size - 1, -1, -1) if upward else range(size)):
            for x in (column, column - 1):
                if not _is_function(size, y, x):
                    yield int(grid[y][x]) ^ int(_MASKS[mask](y, x) == 0)
        column, upward = column - 2, not upward


def read(text):
    """The text in the code."""
    grid = modules(text)
    size = len(grid)
    version = (size - 17) // 4
    for y, x in ((0, 0), (0, size - 7), (size - 7, 0)):     # finder patterns
        seen = [row[x:x + 7] for row in grid[y:y + 7]]
        assert all(seen[i][j] == (i in (0, 6) or j in (0, 6) or (2 <= i <= 4 and 2 <= j <= 4)) for i in range(7) for j in range(7))
    around = [grid[8][x] for x in (0, 1, 2, 3, 4, 5, 7, 8)] + [grid[y][8] for y in (7, 5, 4, 3, 2, 1, 0)]
    word = int("".join("01"[bit] for bit in around), 2) ^ 0b101010000010010
    assert word >> 13 == _LEVEL_M, "not level M"
    stream = list(_bits(grid, word >> 10 & 7))
    codewords = [int("".join(map(str, stream[i:i + 8])), 2) for i in range(0, len(stream) - 7, 8)]

    lengths = _BLOCKS[version]
    blocks = [[] for _ in lengths]      # data is interleaved, and comes before error correction
    taken = iter(codewords)
    for i in range(max(lengths)):
        for block, length in zip(blocks, lengths):
            if i < length:
                block.append(next(taken))
    data = "".join(f"{codeword:08b}" for block in blocks for codeword in block)
    assert data[:4] == "0100", "not in byte mode"
    count = int(data[4:12], 2)
    return bytes(int(data[12 + 8 * i:20 + 8 * i], 2) for i in range(count)).decode("utf-8")
