"""Every line says how it came about: where its price is from, its steps, the usage behind it, and what changed it."""
