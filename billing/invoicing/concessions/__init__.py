"""Credits that are conceded: facts that stand in what is wanted, so that no run and no check takes them back."""
