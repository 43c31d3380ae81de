"""One file per question about a table of unknown origin; each answers with findings."""
