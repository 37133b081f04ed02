"""What a customer writes, and what finance answers."""

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from billing.hosted.words import words_of


class QuestionForm(forms.Form):
    """A question about a line. Its errors are in the customer's words."""

    name = forms.CharField(max_length=120)
    email = forms.EmailField(required=False, max_length=254)
    question = forms.CharField(max_length=4000)

    def problem(self, locale: str) -> str:
        """The first thing that is wrong with it, and the way out; empty where nothing is."""
        words: Any = words_of(locale)
        if not self.errors:
            return ""
        if "name" in self.errors or "question" in self.errors:
            return str(words["fill_in"])
        return str(words["bad_email"]).format(email=self.data.get("email", "")[:80])


class AnswerForm(BaseDialogForm):
    """An answer that the customer reads."""

    text = forms.CharField(
        label="Answer", widget=UnfoldAdminTextareaWidget(), max_length=4000,
        help_text="The customer reads it on the page of the invoice, and by e-mail where they left an address.",
    )  # fmt: skip


class SettleForm(BaseDialogForm):
    """What came of it."""

    text = forms.CharField(
        label="What came of it", widget=UnfoldAdminTextareaWidget(), max_length=4000,
        help_text="For colleagues: the customer reads only that the question is closed.",
    )  # fmt: skip
