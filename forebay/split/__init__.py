"""SQL in, SQL out: reading scripts, guarding them, and deriving what can be computed ahead. Pure; the only door to sqlglot."""
