"""html5lib: parse a large page of real-world untidiness into a tree and serialise it again, in pure Python."""

import html5lib
from _common import Digest, rounds

PART = """<section id=s{n} class='a b{n}'><h2>Part {n} &mdash; &lt;markup&gt; &amp; misnesting</h2>
<p>Some <b>bold <i>and italic</b> text</i> that is <a href="/x?y={n}&z=1">closed in the wrong order
<p>An unclosed paragraph, &eacute;t&eacute; &#x263a; &notanentity; <br><img src=p{n}.png alt="a &quot;picture&quot;">
<table><tr><td>one<td>two<tr><td colspan=2>three {n}</table>
<ul><li>first<li>second<ul><li>nested {n}</ul><li>third</ul>
<form action=/post><input name=q value="{n}" disabled><select><option>a<option selected>b</select><textarea>
 raw &lt;text&gt;</textarea></form><!-- a comment {n} --><svg viewBox="0 0 1 1"><path d="M0 0L1 1"/></svg>
<script>if (1 < 2 && "{n}") {{ document.write("<p>no</p>"); }}</script><style>p > b {{ color: red }}</style></section>
"""


def page(parts: int) -> str:
    """A document of that many sections."""
    body = "".join(PART.format(n=number) for number in range(parts))
    return f"<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>page</title><body>{body}"


def main() -> None:
    digest = Digest()
    for number in range(rounds(9)):
        tree = html5lib.parse(page(rounds(220 + number, 40)))
        digest.add(html5lib.serialize(tree, omit_optional_tags=False, quote_attr_values="always"))
    digest.show("html5lib")


if __name__ == "__main__":
    main()
