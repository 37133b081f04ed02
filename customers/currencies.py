"""The currencies that Meterbook can bill in: active codes of ISO 4217 and the places of their minor unit.

The table is our own because formatting libraries round several currencies as shops do (babel has HUF and IQD without
places), while an invoice follows the standard. Metals, bond units, test codes and other codes without a minor unit
are left out. Pure: no Django, no clock.
"""

from datetime import date
from typing import Final

LIST_DATE: Final = date(2026, 1, 1)
"""State of ISO 4217 that the table shows: with XAD, XCG and ZWG; without ANG, BGN, CUC, HRK, SLL and ZWL."""

_CODES_BY_PLACES: Final[dict[int, str]] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
        CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
        MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
        SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG
        YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

MINOR_PLACES: Final[dict[str, int]] = {
    code: places for places, codes in _CODES_BY_PLACES.items() for code in codes.split()
}
"""Decimal places of the minor unit by code: JPY 0, USD 2, KWD 3, CLF 4."""


class UnknownCurrency(ValueError):
    """A text that is no active ISO 4217 code with a minor unit; `code` is the text as given."""

    def __init__(self, code: object) -> None:
        self.code = code
        super().__init__(
            f"{code!r} is no currency of ISO 4217 as of {LIST_DATE}; "
            "write one of its three-letter codes in capitals, such as 'USD' or 'EUR'."
        )


def is_currency(code: object) -> bool:
    """Whether `code` is an active ISO 4217 code, in capitals, that has a minor unit."""
    return isinstance(code, str) and code in MINOR_PLACES


def minor_places(code: str) -> int:
    """Decimal places of the currency's minor unit; UnknownCurrency for anything else."""
    try:
        return MINOR_PLACES[code]
    except (KeyError, TypeError):
        raise UnknownCurrency(code) from None
