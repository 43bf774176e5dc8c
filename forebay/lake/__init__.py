"""Where Forebay keeps what it writes: slices, Iceberg tables, runs, uploads."""
