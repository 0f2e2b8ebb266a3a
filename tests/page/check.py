"""Looks at report pages in a headless Chromium, as a phone and as a desk show them, light and dark.

    check.py PAGE...

Nothing may stand out of the window to the side, every link must lead somewhere on the page, and text must be
readable: a contrast of at least 4.5 to 1 with what is behind it (WCAG 2.1, 1.4.3).
"""

import html
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTHS = {"phone": 390, "desk": 1280}
# Chromium's words for what `prefers-color-scheme` says.
SCHEMES = {"dark": 0, "light": 1}
LEAST_CONTRAST = 4.5

MEASURE = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = numbers(colour).map((c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  const behind = (node) => {
    for (let it = node; it; it = it.parentElement) {
      const colour = view.getComputedStyle(it).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = [];
  for (const node of page.querySelectorAll("main *")) {
    const own = [...node.childNodes].some((it) => it.nodeType === 3 && it.textContent.trim());
    if (!own) continue;
    const [a, b] = [light(view.getComputedStyle(node).color), light(behind(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < LEAST) faint.push(`${node.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  const links = [...page.querySelectorAll("a")].map((it) => it.getAttribute("href"));
  const result = {
    width: page.documentElement.clientWidth,
    needed: page.documentElement.scrollWidth,
    lost: links.filter((to) => !page.querySelector(`[id="${to.slice(1)}"]`)),
    links: links.length,
    headings: page.querySelectorAll("h1, h2").length,
    ground: view.getComputedStyle(page.body).backgroundColor,
    faint,
  };
  document.querySelector("pre").textContent = JSON.stringify(result);
};
"""


def look(page: Path, width: int, scheme: str) -> dict:
    """What Chromium measures of a page in a window of that many pixels."""
    with tempfile.TemporaryDirectory() as folder:
        around = Path(folder) / "around.html"
        # A text in a script must not end the script.
        text = json.dumps(page.read_text(encoding="utf-8")).replace("</", "<\\/")
        measure = MEASURE.replace("LEAST", str(LEAST_CONTRAST))
        around.write_text(
            f'<!doctype html><meta charset="utf-8"><pre></pre>'
            f'<iframe style="width:{width}px;height:900px;border:0"></iframe>'
            f"<script>{measure}frame.srcdoc = {text};</script>",
            encoding="utf-8",
        )
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile",
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", "--virtual-time-budget=10000",
            "--dump-dom", around.as_uri(),
        ]  # fmt: skip
        dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<pre>(.*?)</pre>", dom, re.DOTALL)
    if not found or not found[1]:
        raise SystemExit(f"{page}: Chromium measured nothing")
    return json.loads(html.unescape(found[1]))


def main() -> int:
    wrong = []
    for page in map(Path, sys.argv[1:]):
        grounds = set()
        for name, width in WIDTHS.items():
            for scheme in SCHEMES:
                seen = look(page, width, scheme)
                where = f"{page.name}, {name}, {scheme}"
                grounds.add(seen["ground"])
                if seen["needed"] > seen["width"]:
                    wrong.append(f"{where}: {seen['needed']} pixels wide in a window of {seen['width']}")
                if seen["lost"] or not seen["links"] or seen["headings"] < 3:
                    wrong.append(f"{where}: links that lead nowhere, or nothing to see: {seen}")
                wrong.extend(f"{where}: hard to read: {text}" for text in seen["faint"])
        if len(grounds) != len(SCHEMES):
            wrong.append(f"{page.name}: looks the same in light and dark")
        print(f"{page.name}: seen {len(WIDTHS) * len(SCHEMES)} times")
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
