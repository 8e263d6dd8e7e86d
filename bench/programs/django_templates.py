"""django: render pages with template inheritance, includes, loops, filters and escaping."""

import django
from _common import Digest, rounds
from django.conf import settings
from django.template import engines

TEMPLATES = {
    "base.html": """<!doctype html><title>{% block title %}{{ site }}{% endblock %}</title>
<nav>{% for name, link in menu %}
<a href="{{ link }}">{{ name|title }}</a>{% if not forloop.last %} | {% endif %}{% endfor %}</nav>
<main>{% block main %}{% endblock %}</main><footer>{{ site|upper }} {{ rows|length }}</footer>""",
    "cell.html": """<td class="{% cycle 'odd' 'even' %}{% if value > 500 %} big{% endif %}">
{{ value|floatformat:2 }} {{ text }}</td>""",
    "page.html": """{% extends "base.html" %}{% block title %}{{ block.super }}: {{ page|escape }}{% endblock %}
{% block main %}<table>{% for row in rows %}<tr id="r{{ forloop.counter }}"><th>{{ row.name|capfirst }}</th>
{% for value in row.cells %}{% with text=row.note|truncatechars:12 %}{% include "cell.html" %}{% endwith %}{% endfor %}
<td>{{ row.tags|join:", "|default:"none" }}</td><td>{{ row.cells|length|pluralize:"cell,cells" }}</td></tr>
{% empty %}<tr><td>empty</td></tr>{% endfor %}</table>{% endblock %}""",
}


def configure() -> None:
    """Set up Django with the templates above and nothing else."""
    loader = ("django.template.loaders.locmem.Loader", TEMPLATES)
    backend = "django.template.backends.django.DjangoTemplates"
    settings.configure(USE_I18N=False, TEMPLATES=[{"BACKEND": backend, "OPTIONS": {"loaders": [loader]}}])
    django.setup()


def table(page: int, height: int, width: int) -> list[dict[str, object]]:
    """The rows of one page."""
    return [
        {
            "name": f"row {number} <{page}>",
            "note": f"a note & more about {number * page} things",
            "tags": [f"tag{number % 7}", "a<b"][: number % 3],
            "cells": [(number * 31 + column * 17 + page) % 1000 for column in range(width)],
        }
        for number in range(height)
    ]


def main() -> None:
    configure()
    digest = Digest()
    menu = [(f"part {number}", f"/part/{number}?a=1&b=2") for number in range(20)]
    template = engines["django"].get_template("page.html")
    for page in range(rounds(14)):
        context = {"site": "bench", "menu": menu, "page": f"<{page}>", "rows": table(page, 100, 30)}
        digest.add(template.render(context))
    digest.show("django")


if __name__ == "__main__":
    main()
