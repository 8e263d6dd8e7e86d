"""The page that `pymemtrace html` writes: the JSON that web/src/data.ts describes, and where it is put."""
