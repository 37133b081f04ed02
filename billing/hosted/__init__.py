"""An invoice as a page for its customer, behind a signed link; and the questions that come back."""
