"""The words of the customer's page, in all languages side by side. Pure: no Django, no clock."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from billing.invoicing.languages.labels import labels_of, language_of

LANGUAGES: Final = ("en", "de", "fr", "ja")
WORDS: Final[dict[str, tuple[str, str, str, str]]] = {
    "language": LANGUAGES,
    "pdf": ("Download PDF", "PDF herunterladen", "Télécharger le PDF", "PDF をダウンロード"),
    "usage_file": ("Usage as CSV", "Nutzung als CSV", "Consommation en CSV", "利用明細（CSV）"),
    "explain": ("How it came about", "Wie er zustande kam", "D’où vient ce montant", "金額の内訳"),
    "still_to_pay": ("Still to pay", "Noch zu zahlen", "Reste à payer", "未払い額"),
    "overdue": ("Overdue", "Überfällig", "En retard", "支払期限超過"),
    "paid": ("Settled", "Beglichen", "Réglée", "支払い済み"),
    "void": (
        "This document is void.", "Dieser Beleg ist storniert.", "Ce document est annulé.",
        "この書類は取り消されました。",
    ),
    "usage_by_day": ("Usage by day", "Nutzung je Tag", "Consommation par jour", "日別の利用"),
    "as_table": ("As a table", "Als Tabelle", "En tableau", "表で見る"),
    "day": ("Day", "Tag", "Jour", "日"),
    "together": ("Together", "Zusammen", "Ensemble", "合計"),
    "other": ("Other", "Übrige", "Autres", "その他"),
    "all": ("Usage", "Nutzung", "Consommation", "利用"),
    "no_value": ("(none)", "(ohne)", "(aucune)", "（なし）"),
    "back": ("Back to the document", "Zurück zum Beleg", "Retour au document", "書類に戻る"),
    "ask": (
        "Ask about this line", "Frage zu dieser Position", "Une question sur cette ligne", "この明細について質問する",
    ),
    "name": ("Your name", "Ihr Name", "Votre nom", "お名前"),
    "email": (
        "Your e-mail, if we may answer there", "Ihre E-Mail-Adresse, falls wir dort antworten dürfen",
        "Votre e-mail, si nous pouvons y répondre", "メールアドレス（返信をご希望の場合）",
    ),
    "question": ("Your question", "Ihre Frage", "Votre question", "ご質問"),
    "send": ("Send", "Absenden", "Envoyer", "送信"),
    "asked": (
        "Thank you: your question has arrived. The answer will stand here.",
        "Danke: Ihre Frage ist angekommen. Die Antwort steht dann hier.",
        "Merci : votre question est arrivée. La réponse s’affichera ici.",
        "ご質問を受け付けました。回答はこのページに表示されます。",
    ),
    "questions": ("Questions", "Fragen", "Questions", "ご質問"),
    "answer": ("Answer", "Antwort", "Réponse", "回答"),
    "no_answer": ("Not answered yet.", "Noch nicht beantwortet.", "Pas encore de réponse.", "まだ回答はありません。"),
    "closed": ("Closed.", "Erledigt.", "Clos.", "完了しました。"),
    "answer_subject": (
        "Your question about {number}, line {line}", "Ihre Frage zu {number}, Position {line}",
        "Votre question sur {number}, ligne {line}", "{number} 明細 {line} へのご質問について",
    ),
    "fill_in": (
        "Please give your name and write a question of at most 4,000 characters.",
        "Bitte geben Sie Ihren Namen und eine Frage von höchstens 4.000 Zeichen an.",
        "Indiquez votre nom et une question de 4 000 caractères au plus.",
        "お名前と 4,000 文字以内のご質問を入力してください。",
    ),
    "bad_email": (
        "This is no e-mail address: {email}", "Das ist keine E-Mail-Adresse: {email}",
        "Ce n’est pas une adresse e-mail : {email}", "メールアドレスが正しくありません：{email}",
    ),
    "too_many": (
        "Many questions came by this link within the hour. Please wait an hour, or write to {seller}.",
        "Über diesen Link kamen innerhalb einer Stunde viele Fragen. Bitte warten Sie, oder schreiben Sie an {seller}.",
        "Beaucoup de questions sont arrivées par ce lien en une heure. Patientez une heure, ou écrivez à {seller}.",
        "短時間に多くのご質問がありました。1 時間後に再度お試しいただくか、{seller} へご連絡ください。",
    ),
    "expired": (
        "This link has expired. Ask {seller} for a new one.",
        "Dieser Link ist abgelaufen. Bitten Sie {seller} um einen neuen.",
        "Ce lien a expiré. Demandez-en un nouveau à {seller}.",
        "このリンクの有効期限が切れました。{seller} に新しいリンクをご依頼ください。",
    ),
    "been revoked": (
        "This link was withdrawn. Ask {seller} for a new one.",
        "Dieser Link wurde zurückgezogen. Bitten Sie {seller} um einen neuen.",
        "Ce lien a été retiré. Demandez-en un nouveau à {seller}.",
        "このリンクは無効になりました。{seller} に新しいリンクをご依頼ください。",
    ),
    "archived": (
        "The usage of this time lies in the archive: ask {seller} for it.",
        "Die Nutzung dieser Zeit liegt im Archiv: Fragen Sie {seller} danach.",
        "La consommation de cette période est archivée : demandez-la à {seller}.",
        "この期間の利用明細は保管庫にあります。{seller} にお問い合わせください。",
    ),
    "valid_until": ("This page is open until {day}.", "Diese Seite ist offen bis {day}.",
                    "Cette page est ouverte jusqu’au {day}.", "このページは {day} まで閲覧できます。"),
}  # fmt: skip


@cache
def words_of(locale: str) -> Mapping[str, str]:
    """The words in the language of a locale, together with those of documents; English where there is no other."""
    language = language_of(locale)
    place = LANGUAGES.index(language) if language in LANGUAGES else 0
    return {**labels_of(locale), **{key: texts[place] for key, texts in WORDS.items()}}
