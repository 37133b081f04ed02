"""The words that explain a line, in all languages side by side. Pure: no Django, no clock.

`line_…` are sentences (`explaining.sentences`), `agreed_…` name what was agreed. Names in braces are filled in.
"""

from collections.abc import Mapping
from typing import Final

from billing.invoicing.languages.labels import labels_of, language_of

LANGUAGES: Final = ("en", "de", "fr", "ja")
WORDS: Final[dict[str, tuple[str, str, str, str]]] = {
    "line_fee": (
        "A fee for {period}.", "Eine Gebühr für {period}.", "Un forfait pour {period}.", "{period} の料金です。",
    ),
    "line_fee_part": (
        "A fee for {period}: {share}.", "Eine Gebühr für {period}: {share}.", "Un forfait pour {period} : {share}.",
        "{period} の料金です（{share}）。",
    ),
    "line_fee_back": (
        "This line takes back what {other} charged for {period}.",
        "Diese Position nimmt zurück, was {other} für {period} berechnet hat.",
        "Cette ligne reprend ce que {other} a facturé pour {period}.",
        "{other} が {period} について請求した分を差し引きます。",
    ),
    "line_fee_given_up": (
        "As agreed, nothing is given back of what {other} charged for {period}.",
        "Wie vereinbart, wird von dem, was {other} für {period} berechnet hat, nichts erstattet.",
        "Comme convenu, rien n’est remboursé de ce que {other} a facturé pour {period}.",
        "合意に基づき、{other} が {period} について請求した分の返金はありません。",
    ),
    "line_usage": (
        "What was used: {period}.", "Was genutzt wurde: {period}.", "Ce qui a été consommé : {period}.",
        "{period} の利用分です。",
    ),
    "line_nothing_used": (
        "Nothing was used: {period}.", "Es wurde nichts genutzt: {period}.", "Rien n’a été consommé : {period}.",
        "{period} の利用はありません。",
    ),
    "line_usage_again": (
        "All usage of the period was priced again; this line is the difference to what was billed before.",
        "Alle Nutzung des Zeitraums wurde neu berechnet; diese Position ist der Unterschied zum Bisherigen.",
        "Toute la consommation de la période a été recalculée ; cette ligne est la différence avec le montant facturé.",
        "期間のすべての利用を再計算しました。この明細は、これまでの請求額との差額です。",
    ),
    "line_taken_back": (
        "All that was billed of it is taken back.", "Alles, was davon berechnet wurde, wird zurückgenommen.",
        "Tout ce qui en a été facturé est repris.", "これまでに請求した分をすべて差し引きます。",
    ),
    "line_minimum": (
        "This line lifts the usage to the minimum that was agreed: {period}.",
        "Diese Position hebt die Nutzung auf den vereinbarten Mindestbetrag: {period}.",
        "Cette ligne porte la consommation au minimum convenu : {period}.",
        "{period} の利用を、合意した最低額まで引き上げます。",
    ),
    "line_minimum_spend": (
        "This line lifts what was charged to the minimum that was agreed: {period}.",
        "Diese Position hebt das Berechnete auf den vereinbarten Mindestumsatz: {period}.",
        "Cette ligne porte ce qui a été facturé au minimum convenu : {period}.",
        "{period} の請求額を、合意した最低額まで引き上げます。",
    ),
    "line_maximum": (
        "This line takes what was charged down to the maximum that was agreed: {period}.",
        "Diese Position senkt das Berechnete auf den vereinbarten Höchstbetrag: {period}.",
        "Cette ligne ramène ce qui a été facturé au maximum convenu : {period}.",
        "{period} の請求額を、合意した上限額まで引き下げます。",
    ),
    "line_true_up": (
        "What was charged is below the commitment; this is what is missing: {period}.",
        "Das Berechnete liegt unter der Zusage; das ist der Rest: {period}.",
        "Ce qui a été facturé est inférieur à l’engagement ; voici ce qui manque : {period}.",
        "{period} の請求額がコミット額に満たないため、不足分です。",
    ),
    "line_overage": (
        "What was charged is above the commitment; this prices what goes beyond it: {period}.",
        "Das Berechnete liegt über der Zusage; das ist der Preis für den Teil darüber: {period}.",
        "Ce qui a été facturé dépasse l’engagement ; voici le prix de ce qui le dépasse : {period}.",
        "{period} の請求額がコミット額を超えたため、超過分です。",
    ),
    "line_coupon": (
        "A coupon takes this off what was charged: {period}.", "Ein Gutschein zieht dies vom Berechneten ab: {period}.",
        "Un coupon déduit ceci de ce qui a été facturé : {period}.", "{period} の請求額に対するクーポン割引です。",
    ),
    "line_discount": (
        "A discount that was agreed takes this off what was charged: {period}.",
        "Ein vereinbarter Rabatt zieht dies vom Berechneten ab: {period}.",
        "Une remise convenue déduit ceci de ce qui a été facturé : {period}.",
        "{period} の請求額に対する、合意した割引です。",
    ),
    "line_manual": (
        "This line was added to this document singly; no plan and no usage is behind it.",
        "Diese Position wurde diesem Dokument einzeln hinzugefügt; kein Tarif und keine Nutzung steht dahinter.",
        "Cette ligne a été ajoutée à ce document ; ni offre ni consommation n’en est l’origine.",
        "この文書に個別に追加されたもので、プランや利用によるものではありません。",
    ),
    "line_manual_off": (
        "A discount that was given on this document.", "Ein Rabatt, der auf diesem Dokument gewährt wurde.",
        "Une remise accordée sur ce document.", "この文書に対する割引です。",
    ),
    "line_credit": (
        "A credit of {other}.", "Eine Gutschrift zu {other}.", "Un avoir sur {other}.", "{other} に対する減額です。",
    ),
    "line_single": ("A single item.", "Ein einzelner Posten.", "Un élément isolé.", "個別の項目です。"),
    "line_difference": (
        "This line is the difference to what was billed of it before.",
        "Diese Position ist der Unterschied zu dem, was davon bisher berechnet wurde.",
        "Cette ligne est la différence avec ce qui en a été facturé.",
        "この明細は、これまでの請求額との差額です。",
    ),
    "line_reversed": (
        "{voided} was voided: this line takes back one of its lines.",
        "{voided} wurde storniert: Diese Position nimmt eine ihrer Positionen zurück.",
        "{voided} a été annulée : cette ligne reprend une de ses lignes.",
        "{voided} は無効になりました。この明細はその明細の取り消しです。",
    ),
    "line_of": (
        "{document}, line {line}", "{document}, Position {line}", "{document}, ligne {line}", "{document} 明細{line}",
    ),
    "unissued": (
        "a document that is not yet issued", "einem noch nicht ausgestellten Dokument",
        "un document pas encore émis", "未発行の文書",
    ),
    "where_price": ("Price", "Preis", "Prix", "価格"),
    "of_plan": (
        "{plan}, version {number}", "{plan}, Version {number}", "{plan}, version {number}",
        "{plan}、バージョン {number}",
    ),
    "own_price": ("Agreed with you", "Mit Ihnen vereinbart", "Convenu avec vous", "個別の合意"),
    "with_own": (
        "{price}, with what was agreed with you: {agreed}", "{price}, mit dem, was mit Ihnen vereinbart ist: {agreed}",
        "{price}, avec ce qui a été convenu avec vous : {agreed}", "{price}（個別の合意：{agreed}）",
    ),
    "step": ("Step", "Schritt", "Étape", "計算"),
    "amount": ("Amount", "Betrag", "Montant", "金額"),
    "sum_of_steps": ("Sum of the steps", "Summe der Schritte", "Somme des étapes", "計算の合計"),
    "rounded": ("Rounded", "Gerundet", "Arrondi", "端数処理後"),
    "this_line": ("This line", "Diese Position", "Cette ligne", "この明細"),
    "what_stands": ("What was billed of it", "Was davon berechnet wurde", "Ce qui en a été facturé", "これまでの請求"),
    "stands": ("Comes to", "Zusammen", "Cumul", "累計"),
    "tax_of_line": ("Tax of this line", "Steuer dieser Position", "Taxe de cette ligne", "この明細の税"),
    "tax_in_price": (
        "The price holds this tax.", "Der Preis enthält diese Steuer.", "Le prix contient cette taxe.",
        "価格はこの税を含みます。",
    ),
    "tax_kept": (
        "This line keeps the tax of what it corrects.", "Diese Position behält die Steuer dessen, was sie korrigiert.",
        "Cette ligne garde la taxe de ce qu’elle corrige.", "訂正対象の税率を引き継ぎます。",
    ),
    "events": ("Events", "Ereignisse", "Événements", "イベント"),
    "counted_events": (
        "Events counted: {count}.", "Gezählte Ereignisse: {count}.", "Événements comptés : {count}.",
        "集計したイベントは {count} 件です。",
    ),
    "latest_events": ("The latest of them", "Die neuesten davon", "Les plus récents", "最新のイベント"),
    "events_file": ("All events as CSV", "Alle Ereignisse als CSV", "Tous les événements en CSV", "全イベント（CSV）"),
    "time": ("Time", "Zeit", "Heure", "日時"),
    "event_id": ("Event", "Ereignis", "Événement", "イベント"),
    "agreed_price": ("price", "Preis", "prix", "価格"),
    "agreed_tiers": ("tiers", "Staffeln", "paliers", "段階"),
    "agreed_factor": ("price factor", "Preisfaktor", "coefficient de prix", "価格係数"),
    "agreed_meter": ("other way of counting", "andere Zählung", "autre comptage", "計測方法"),
    "agreed_narrowing": ("part of the usage", "Teil der Nutzung", "partie de la consommation", "利用の一部"),
    "agreed_allowance": ("free allowance", "Freimenge", "quantité gratuite", "無料枠"),
    "agreed_minimum": ("minimum", "Mindestbetrag", "minimum", "最低額"),
    "agreed_maximum": ("maximum", "Höchstbetrag", "maximum", "上限額"),
    "agreed_quantity": ("quantity", "Menge", "quantité", "数量"),
    "agreed_add": ("added charge", "zusätzliche Leistung", "élément ajouté", "追加項目"),
    "agreed_remove": ("removed charge", "entfallene Leistung", "élément retiré", "削除項目"),
    "agreed_minimum_spend": ("minimum spend", "Mindestumsatz", "dépense minimale", "最低利用額"),
    "agreed_maximum_spend": ("maximum spend", "Höchstumsatz", "dépense maximale", "利用上限額"),
    "agreed_commitment": ("commitment", "Zusage", "engagement", "コミット額"),
    "agreed_coupon": ("coupon", "Gutschein", "coupon", "クーポン"),
    "agreed_discount": ("discount", "Rabatt", "remise", "割引"),
}  # fmt: skip


def explained_in(locale: str) -> Mapping[str, str]:
    """The words of documents and of explanations for a locale (BCP 47), by key."""
    place = LANGUAGES.index(language_of(locale))
    return {**labels_of(locale), **{key: words[place] for key, words in WORDS.items()}}
