"""A program of its own: Vega-Lite specifications -> pictures, with vl-convert (Vega in an embedded JavaScript engine).

    one line of JSON in:  {"name": specification, …}
    one line of JSON out: {"name": {"svg": text, "png": base64}, …} or {"error": text}

It runs beside the service, which so keeps its memory small and survives whatever happens here. It imports nothing of
logagg, warms up before it reads, and ends with its input. It loads no data: specifications hold theirs.
"""

import base64
import json
import sys
from typing import Any

SCALE = 1.5
_TINY = {"data": {"values": [{"n": 1}]}, "mark": "bar", "encoding": {"x": {"field": "n", "type": "ordinal"}}}


def main() -> int:
    try:
        import vl_convert
    except ImportError:
        print(json.dumps({"error": "the package vl-convert-python is not installed"}), flush=True)
        return 1
    vl_convert.svg_to_png(vl_convert.vegalite_to_svg(_TINY, allowed_base_urls=[]), scale=1)
    for line in sys.stdin:
        answer: dict[str, Any] = {}
        try:
            for name, spec in json.loads(line).items():
                answer[name] = _drawn(vl_convert, spec)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        print(json.dumps(answer), flush=True)
    return 0


def _drawn(vl_convert: Any, spec: dict[str, Any]) -> dict[str, str]:
    svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    head = svg.index(">") + 1
    on_white = f'{svg[:head]}<rect width="100%" height="100%" fill="white"/>{svg[head:]}'
    png = vl_convert.svg_to_png(on_white, scale=SCALE)
    return {"svg": svg, "png": base64.b64encode(png).decode()}


if __name__ == "__main__":
    sys.exit(main())
