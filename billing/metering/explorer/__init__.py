"""Pages that let people look at usage: the explorer, events, what arrives right now, and what counts for nobody."""
