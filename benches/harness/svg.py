"""The frame that all charts share: an SVG with its own background, so that it is legible on light and dark pages."""

from html import escape

WIDTH = 880
STYLE = """
  text { font: 13px ui-sans-serif, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .soft { fill: #59636e; font-size: 12px }
  .end { text-anchor: end }
  .middle { text-anchor: middle }
  .bold { font-weight: 600 }
  .ground { fill: #ffffff; stroke: #d1d9e0 }
  .ours { fill: #1a7f37 }
  .peer { fill: #818b98 }
  .limit { fill: #d1d9e0 }
  .bad { fill: #d1242f }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .straight { stroke: #818b98; stroke-width: 1.5; stroke-dasharray: 5 4; fill: none }
  .line { stroke: #1a7f37; stroke-width: 2; fill: none }
  .line.second { stroke: #0969da }
  .point { fill: #1a7f37 }
  .point.second { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .soft { fill: #9198a1 }
    .ground { fill: #0d1117; stroke: #3d444d }
    .ours { fill: #3fb950 }
    .limit { fill: #3d444d }
    .bad { fill: #f85149 }
    .grid { stroke: #3d444d }
    .line { stroke: #3fb950 }
    .line.second { stroke: #4493f8 }
    .point { fill: #3fb950 }
    .point.second { fill: #4493f8 }
  }
"""


def text(x, y, content, classes=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}">{escape(content)}</text>'


def rect(x, y, width, height, classes):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height}" rx="2" class="{classes}"/>'


def line(x1, y1, x2, y2, classes):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{classes}"/>'


def path(points, classes):
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{steps}" class="{classes}"/>'


def frame(height, title, subtitle, parts):
    """The whole file: the background, a title, a subtitle in a softer colour, and the parts."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6" class="ground"/>',
            text(24, 32, title, "title"),
            text(24, 52, subtitle, "soft"),
            *parts,
            "</svg>\n",
        ]
    )
