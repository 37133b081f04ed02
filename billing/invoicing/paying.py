"""How an invoice asks to be paid: the reference to name, and a code that banking apps read. Pure: no Django, no clock.

The code is that of the European Payments Council (EPC069-12, version 2): a SEPA credit transfer, in EUR alone.
"""

import base64
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from typing import Final

from PIL import Image
from reportlab.graphics.barcode.qrencoder import QR8bitByte, QRCode, QRErrorCorrectLevel

from customers.banking import compact, creditor_reference

MOST: Final = Decimal("999999999.99")
"""The largest amount of a SEPA transfer."""
_MODULE: Final = 4
"""Pixels of one square of the code."""
_QUIET: Final = 2
"""Squares left white around it; the page adds more."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A payment to make: whom, to which account, how much in which currency (ISO 4217), and what to name."""

    name: str
    iban: str
    bic: str
    amount: Decimal
    currency: str
    reference: str


def reference_of(number: str, kind: str) -> str:
    """What a customer names when paying: the creditor reference where the seller wants that (`creditor`), else the
    number; the number too where it is too long for one."""
    return (creditor_reference(number) if kind == "creditor" else "") or number


def epc_text(transfer: Transfer) -> str:
    """The content of the code; empty where no SEPA transfer can pay it: another currency, no IBAN, nothing to pay."""
    payable = transfer.currency == "EUR" and transfer.iban and Decimal("0.01") <= transfer.amount <= MOST
    if not payable or not transfer.reference:
        return ""
    structured = compact(transfer.reference) if transfer.reference.startswith("RF") else ""
    free = "" if structured else transfer.reference[:140]
    lines = (
        "BCD", "002", "1", "SCT", compact(transfer.bic), transfer.name[:70], compact(transfer.iban),
        f"EUR{transfer.amount:.2f}", "", structured, free,
    )  # fmt: skip
    return "\n".join(lines).rstrip("\n")


def code_of(text: str) -> str:
    """A text as a QR code: a picture as a data URI, the same for the same text. Empty for an empty text."""
    if not text:
        return ""
    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(QR8bitByte(text))
    code.make()
    size = code.getModuleCount()
    picture = Image.new("1", (size + 2 * _QUIET, size + 2 * _QUIET), 1)
    for row in range(size):
        for column in range(size):
            picture.putpixel((column + _QUIET, row + _QUIET), 0 if code.isDark(row, column) else 1)
    out = BytesIO()
    picture.resize((picture.width * _MODULE, picture.height * _MODULE)).save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
