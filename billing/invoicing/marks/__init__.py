"""What a run may leave out: contracts of which nothing falls due and about which nothing was learned."""
