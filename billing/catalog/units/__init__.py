"""Units of a company's own that prices are said in, such as credits, and what one is worth in a currency."""
