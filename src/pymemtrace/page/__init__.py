"""The page that `pymemtrace html` writes: the trace as the JSON that web/src/data.ts describes, in a page without it."""
