"""The letter of an e-mail: a subject and a text in Django's template language, with texts of the invoice in it.

Nothing but these texts can be reached from a letter, and no other template: whoever may write letters reads no data.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.template import Context, Engine, TemplateDoesNotExist, TemplateSyntaxError

LANGUAGES = [("en", "English"), ("de", "German"), ("fr", "French"), ("ja", "Japanese")]
UNKNOWN = "\x00%s\x00"  # stands where a letter names what there is not
ENGINE = Engine(autoescape=False, string_if_invalid=UNKNOWN)

NAMES = {
    "title": "what it is: “Invoice”, “Credit note”, in the customer's language",
    "number": "its number",
    "period": "the days it bills; may be empty",
    "total": "what it comes to, with its currency",
    "to_pay": "what is left to pay where the customer's balance settled a part of it; else empty",
    "credit": "what a credit note gives; empty for an invoice",
    "due_date": "the day by which to pay",
    "nothing_due": "“yes” where nothing is to be paid, else empty",
    "reference": "what to name when paying",
    "bank_details": "the seller's bank details, in lines; may be empty",
    "seller": "who sells",
    "customer": "who buys",
    "link": "the address of the customer's page of it; empty where PUBLIC_URL is not set",
}
"""What a letter may name, and what stands there."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Subject and text: as written, with names in braces, or filled in."""

    subject: str
    body: str


class LetterBroken(Exception):
    """A letter does not come out; the sentence says where and what to change."""


def filled(letter: Letter, texts: Mapping[str, str]) -> Letter:
    """The letter with an invoice's texts (see NAMES) in it. LetterBroken where it does not come out."""
    subject = " ".join(_fill("subject", letter.subject, texts).split())
    body = _fill("text", letter.body, texts).strip() + "\n"
    for part, text in (("subject", subject), ("text", body.strip())):
        if not text:
            raise LetterBroken(f"The {part} comes out empty: write something that always stands there.")
    return Letter(subject, body)


def check(letter: Letter) -> None:
    """LetterBroken unless the letter comes out for an invoice, one of nothing to pay, and a credit note."""
    for texts in EXAMPLES:
        filled(letter, texts)


def _fill(part: str, source: str, texts: Mapping[str, str]) -> str:
    """One part, filled in."""
    try:
        text = ENGINE.from_string(source).render(Context(dict(texts), autoescape=False))
    except TemplateDoesNotExist as error:
        raise LetterBroken(f"The {part} includes “{error}”: a letter can include nothing.") from error
    except TemplateSyntaxError as error:
        raise LetterBroken(f"The {part} cannot be read: {error}.") from error
    except Exception as error:  # a tag or filter may fail in its own way
        raise LetterBroken(f"The {part} does not come out: {type(error).__name__}: {error}.") from error
    if "\x00" in text:
        name = text.split("\x00")[1]
        raise LetterBroken(f"The {part} names “{name}”, which there is not: use one of {', '.join(NAMES)}.")
    return str(text)


_INVOICE = {
    "title": "Invoice", "number": "INV-000123", "period": "1–31 Jan 2026", "total": "EUR 1,234.50", "to_pay": "",
    "credit": "",
    "due_date": "1 Mar 2026", "nothing_due": "", "reference": "RF18 INV0 0012 3",
    "bank_details": "Example Bank\nIBAN DE02 1203 0000 0000 2020 51", "seller": "Example Ltd", "customer": "Acme Inc.",
    "link": "https://billing.example.com/i/example/",
}  # fmt: skip
EXAMPLES: list[dict[str, str]] = [
    _INVOICE,
    _INVOICE | {"to_pay": "EUR 1,000.00"},
    _INVOICE | {"total": "EUR 0.00", "nothing_due": "yes", "period": "", "bank_details": "", "link": ""},
    _INVOICE | {"title": "Credit note", "number": "CN-000004", "total": "EUR −50.00", "credit": "EUR 50.00",
                "nothing_due": "yes"},
]  # fmt: skip
"""Texts by which letters are checked and shown before they are sent."""

_FACTS = """{%% if credit %%}%(credit)s {{ credit }}{%% else %%}%(total)s {{ total }}{%% endif %%}{%% if to_pay %%}
%(to_pay)s {{ to_pay }}{%% endif %%}
{%% if nothing_due %%}%(nothing)s{%% else %%}%(due)s {{ due_date }}
%(reference)s {{ reference }}{%% if bank_details %%}

%(pay)s
{{ bank_details }}{%% endif %%}{%% endif %%}"""

BUILT_IN: dict[str, Letter] = {
    "en": Letter(
        "{{ title }} {{ number }} from {{ seller }}",
        "Hello,\n\nplease find attached {{ title|lower }} {{ number }}{% if period %} for {{ period }}{% endif %}.\n\n"
        + _FACTS % {
            "credit": "Credit:      ", "total": "Total:       ", "to_pay": "To pay:      ",
            "due": "Due by:      ", "reference": "Reference:   ",
            "nothing": "Nothing is to be paid for it.", "pay": "Please pay to:",
        }
        + "{% if link %}\n\nSee it online, with all usage behind it, and ask about any line:\n{{ link }}{% endif %}"
        "\n\nQuestions about this {{ title|lower }}? Reply to this message.\n\n{{ seller }}",
    ),
    "de": Letter(
        "{{ title }} {{ number }} von {{ seller }}",
        "Guten Tag,\n\nanbei erhalten Sie: {{ title }} {{ number }}{% if period %}, {{ period }}{% endif %}.\n\n"
        + _FACTS % {
            "credit": "Gutschrift:   ", "total": "Gesamtbetrag: ", "to_pay": "Zu zahlen:    ",
            "due": "Zahlbar bis:  ",
            "reference": "Referenz:     ",
            "nothing": "Dafür ist nichts zu zahlen.", "pay": "Bitte zahlen Sie an:",
        }
        + "{% if link %}\n\nOnline, mit aller Nutzung dahinter und Platz für Fragen:\n{{ link }}{% endif %}"
        "\n\nHaben Sie Fragen? Antworten Sie einfach auf diese Nachricht.\n\n{{ seller }}",
    ),
    "fr": Letter(
        "{{ title }} {{ number }} de {{ seller }}",
        "Bonjour,\n\nveuillez trouver ci-joint : {{ title }} {{ number }}{% if period %}, {{ period }}{% endif %}.\n\n"
        + _FACTS % {
            "credit": "Avoir :       ", "total": "Total :       ", "to_pay": "À payer :     ",
            "due": "À payer le :  ",
            "reference": "Référence :   ",
            "nothing": "Aucun paiement n’est à effectuer.", "pay": "Merci de régler à :",
        }
        + "{% if link %}\n\nEn ligne, avec toute la consommation et vos questions :\n{{ link }}{% endif %}"
        "\n\nUne question ? Répondez à ce message.\n\n{{ seller }}",
    ),
    "ja": Letter(
        "{{ title }} {{ number }}（{{ seller }}）",
        "{{ customer }} 御中\n\n{{ title }} {{ number }}{% if period %}（{{ period }}）{% endif %}をお送りします。\n\n"
        + _FACTS % {
            "credit": "返金額：", "total": "合計：", "to_pay": "お支払金額：", "due": "お支払期限：",
            "reference": "参照番号：", "nothing": "お支払いは不要です。", "pay": "お振込先：",
        }
        + "{% if link %}\n\nオンラインでの確認、明細ごとのご質問はこちら：\n{{ link }}{% endif %}"
        "\n\nご不明な点がございましたら、このメールにご返信ください。\n\n{{ seller }}",
    ),
}  # fmt: skip
"""The letters that go out where nobody wrote another, by language."""
