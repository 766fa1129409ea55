"""The strokes of a timeline's picture: its colours in light and dark, its texts and lines."""

from __future__ import annotations

import re
from html import escape

from rivulet.notebook.brief import columns

__all__ = [
    "ADVANCE",
    "COLOURS",
    "DEFINITIONS",
    "FONT",
    "SMALL",
    "STYLE",
    "broken",
    "escaped",
    "stroke",
    "width_of",
    "written",
]

FONT = 11.0
SMALL = 9.5
ADVANCE = 0.62
"""The width of a character of a wide font, for a font size of 1."""
COLOURS = 6
"""How many colours there are for keys."""

STYLE = """
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",Arial,
"Noto Color Emoji",sans-serif}
.card{fill:#fff;stroke:#dfe4ea}.ink{fill:#1f2933}.dim{fill:#6b7785}.name{font-weight:600}
.grid{stroke:#edf0f3}.lane{stroke:#c9d1d9}
.item{fill:#2f6fdf;stroke:#fff}.late{fill:#fff;stroke:#d6336c}.red{fill:#d6336c}
.lateness{stroke:#d6336c}.hollow{fill:#fff;stroke:#2f6fdf}.right{fill:#0d9488;stroke:#fff}
.kept{fill:#fff;stroke:#0d9488}.beat{fill:#2f9e44;stroke:#fff}.out{fill:#64748b;stroke:#fff}
.mark{stroke:#8b5cf6}.past{fill:#8b5cf6;fill-opacity:.09}.violet{fill:#7c3aed}
.match{stroke:#0d9488}.teal{fill:#0f766e}.head{fill:#0d9488}.before{stroke:#9aa5b1}
.hold{fill:#fff4d6;stroke:#e09b00}.gap{fill:#f59f00;fill-opacity:.1}.amber{fill:#8a5a00}
.stripe{stroke:#f59f00}.down{fill:#ffe3e3;stroke:#e03131}.wound{fill:#e03131;fill-opacity:.08}
.release{stroke:#2f9e44;stroke-opacity:.6}.lead{fill:#2f9e44}
.halo{stroke:#fff;stroke-width:4px;stroke-linejoin:round;paint-order:stroke}
.k0{fill:#dbe9ff;stroke:#5b8def}.k1{fill:#d9f2e3;stroke:#3f9d6b}.k2{fill:#fdebd0;stroke:#d08a2e}
.k3{fill:#eadcff;stroke:#8a63d2}.k4{fill:#ffdfe8;stroke:#d0587e}.k5{fill:#d6f1f5;stroke:#2d95a8}
.c0{fill:#2f6fdf}.c1{fill:#2b8a57}.c2{fill:#d07b12}.c3{fill:#7a4fcf}.c4{fill:#cc4468}
.c5{fill:#16859a}.a0{stroke:#2f6fdf}.a1{stroke:#2b8a57}.a2{stroke:#d07b12}.a3{stroke:#7a4fcf}
.a4{stroke:#cc4468}.a5{stroke:#16859a}
.open{fill-opacity:.35;stroke-dasharray:4 3}.gone{fill:none;stroke:#9aa5b1;stroke-dasharray:2 3}
@media (prefers-color-scheme:dark){
.card{fill:#16191d;stroke:#343b44}.ink{fill:#e6e9ed}.dim{fill:#98a3b0}
.grid{stroke:#252b32}.lane{stroke:#48525d}
.item{fill:#5b9bff;stroke:#16191d}.late{fill:#16191d;stroke:#ff6b9a}.red{fill:#ff7aa5}
.lateness{stroke:#ff6b9a}.hollow{fill:#16191d;stroke:#5b9bff}.right{fill:#2dd4bf;stroke:#16191d}
.kept{fill:#16191d;stroke:#2dd4bf}.beat{fill:#51cf66;stroke:#16191d}
.out{fill:#94a3b8;stroke:#16191d}
.mark{stroke:#a78bfa}.past{fill:#a78bfa;fill-opacity:.13}.violet{fill:#b9a4ff}
.match{stroke:#2dd4bf}.teal{fill:#5eead4}.head{fill:#2dd4bf}.before{stroke:#6b7785}
.hold{fill:#3d2f0c;stroke:#e0a526}.amber{fill:#ffd479}.stripe{stroke:#e0a526}
.down{fill:#401a1d;stroke:#ff6b6b}.release{stroke:#51cf66}.lead{fill:#51cf66}
.halo{stroke:#16191d}
.k0{fill:#1c3157;stroke:#5b8def}.k1{fill:#173d2a;stroke:#4cb27d}.k2{fill:#46300f;stroke:#dd9a40}
.k3{fill:#33235a;stroke:#9d7be0}.k4{fill:#4d1f30;stroke:#e0708f}.k5{fill:#123c44;stroke:#3aa9bd}
.c0{fill:#6ea3ff}.c1{fill:#54c98a}.c2{fill:#f0a94a}.c3{fill:#b394f5}.c4{fill:#f2809f}
.c5{fill:#4cc3d9}.a0{stroke:#6ea3ff}.a1{stroke:#54c98a}.a2{stroke:#f0a94a}.a3{stroke:#b394f5}
.a4{stroke:#f2809f}.a5{stroke:#4cc3d9}
}
"""
DEFINITIONS = (
    "<defs>"
    + "".join(
        f'<marker id="{head}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6.5" '
        f'markerHeight="6.5" orient="auto"><path class="{head}" d="M0,0 L8,4 L0,8 z"/></marker>'
        for head in ("head", "lead", *(f"c{number}" for number in range(COLOURS)))
    )
    + '<pattern id="stripes" width="7" height="7" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><line class="stripe" x1="0" y1="0" x2="0" y2="7" '
    'stroke-width="2" stroke-opacity=".35"/></pattern></defs>'
)
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escaped(text: str) -> str:
    """A text as it may stand in a document."""
    return escape(_NOT_IN_XML.sub("\ufffd", text))


def width_of(text: str, size: float) -> float:
    """How wide a text is at most."""
    narrow = sum(c in "iljtfI.,:;'|!()[] " for c in text)
    return (columns(text) - narrow * 0.4) * ADVANCE * size


def broken(text: str, width: float, between: str) -> list[str]:
    """A text in lines that are no wider than that."""
    lines: list[str] = []
    for part in text.split(between):
        if lines and width_of(lines[-1] + between + part, SMALL) <= width:
            lines[-1] += between + part
        else:
            lines.append(part)
    return lines


def stroke(
    x1: float, y1: float, x2: float, y2: float, style: str, *, width: float = 1, dashes: str = ""
) -> str:
    """A straight line."""
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke-width="{width}"{dashed}/>'
    )


def written(
    x: float,
    y: float,
    text: str,
    style: str,
    *,
    size: float = FONT,
    anchor: str = "start",
    title: str = "",
) -> str:
    """A text."""
    hint = f"<title>{escaped(title)}</title>" if title else ""
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" '
        f'text-anchor="{anchor}">{escaped(text)}{hint}</text>'
    )
