"""Files to columns: text tables, Parquet, folders of them."""
