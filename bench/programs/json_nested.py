"""json: write and read back a large nested document, with an object hook and a default encoder."""

import json
import random

from _common import Digest, rounds


class Point:
    """Something json does not know."""

    def __init__(self, x: int, y: int) -> None:
        self.x = x
        self.y = y


def document(records: int) -> list[dict[str, object]]:
    """A document with text, numbers, nesting and objects."""
    source = random.Random(7)
    return [
        {
            "id": number,
            "name": f"record {number} \u00e9\u4e16\U0001f600",
            "price": source.random() * 1000,
            "tags": [f"tag{source.randrange(50)}" for _ in range(8)],
            "nested": {"left": {"value": None, "flag": True}, "right": [[number, -number], [1.5, 'x\n"y"']]},
            "place": Point(number % 100, number // 100),
        }
        for number in range(records)
    ]


def encode(value: object) -> dict[str, int]:
    assert isinstance(value, Point)
    return {"x": value.x, "y": value.y}


def decode(fields: dict[str, object]) -> object:
    return Point(fields["x"], fields["y"]) if fields.keys() == {"x", "y"} else fields  # type: ignore[arg-type]


def main() -> None:
    digest = Digest()
    data: object = document(rounds(12_000, 1_000))
    for _ in range(rounds(11)):
        compact = json.dumps(data, default=encode)
        data = json.loads(compact, object_hook=decode)
        digest.add(compact)
        digest.add(json.dumps(data, default=encode, indent=1, sort_keys=True, ensure_ascii=False))
    digest.show("json")


if __name__ == "__main__":
    main()
