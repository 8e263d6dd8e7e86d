"""`pymemtrace live`: a screen that shows who holds the memory of a program while it runs."""
