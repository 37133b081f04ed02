"""Account numbers and payment references: IBAN (ISO 13616), BIC (ISO 9362) and creditor reference (ISO 11649).

Pure: no Django, no clock.
"""

import re
from typing import Final

_IBAN: Final = re.compile(r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$")
_BIC: Final = re.compile(r"^[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?$")
_LONGEST: Final = 21
"""Characters of a creditor reference behind its check digits."""


def compact(code: str) -> str:
    """A code as programs take it: no blanks, capitals. `de02 1203` is `DE021203`."""
    return "".join(code.split()).upper()


def grouped(code: str) -> str:
    """A code as people read it, in groups of four: `DE02 1203 0000`."""
    text = compact(code)
    return " ".join(text[place : place + 4] for place in range(0, len(text), 4))


def is_iban(code: str) -> bool:
    """Whether it has the shape of an IBAN and its check digits are right."""
    text = compact(code)
    return bool(_IBAN.match(text)) and _remainder(text[4:] + text[:4]) == 1


def is_bic(code: str) -> bool:
    """Whether it has the shape of a BIC, of 8 or 11 characters."""
    return bool(_BIC.match(compact(code)))


def creditor_reference(number: str) -> str:
    """The creditor reference of a document's number: `RF18 INV0 0000 1` for INV-000001, in groups of four.

    Letters and digits alone count. Empty for a number that has more than 21 of them, or none.
    """
    text = re.sub(r"[^A-Z0-9]", "", number.upper())
    if not 0 < len(text) <= _LONGEST:
        return ""
    return grouped(f"RF{98 - _remainder(f'{text}RF00'):02d}{text}")


def is_creditor_reference(reference: str) -> bool:
    """Whether it is a creditor reference and its check digits are right."""
    text = compact(reference)
    return bool(re.match(rf"^RF\d{{2}}[A-Z0-9]{{1,{_LONGEST}}}$", text)) and _remainder(text[4:] + text[:4]) == 1


def _remainder(text: str) -> int:
    """Modulo 97 of a text whose letters count from 10 (A) to 35 (Z)."""
    return int("".join(str(int(char, 36)) for char in text)) % 97
