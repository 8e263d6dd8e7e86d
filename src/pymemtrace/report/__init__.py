"""What a trace says, as text and as JSON.

Two layers, so that the summary at the end of `pymemtrace run` stays cheap: `load`, `facts`, `text`, `units` and
`summary` import nothing heavy; the others may use dataclasses, json, rich and pyelftools.
"""
