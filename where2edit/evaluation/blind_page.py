"""The blind test on disk: one page to click through, sheets to look at without a browser, and the answers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from string import Template

from torch import Tensor

from where2edit.evaluation.blind_pairs import Pair
from where2edit.files import pictures
from where2edit.files.atomic import write_text

ON_A_SHEET = 6  # pairs
QUALITY = 95  # of the JPEGs inside the page

INDEX = "index.html"  # the page
# The answers stand in the page in base64: not to be read in passing. The interval is Wilson's, of 95 %.
PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Which one was edited?</title>
<style>
  body { font: 16px sans-serif; margin: 1em auto; max-width: 1100px; text-align: center }
  img { width: 48%; border: 3px solid transparent; cursor: pointer }
  img:hover { border-color: #888 }
  table { margin: auto; border-collapse: collapse }
  td, th { padding: .2em 1em; text-align: left }
</style>
<h1>Which one was edited?</h1>
<p id="ask"></p>
<div id="pair"></div>
<script>
const pairs = $pairs;
const answers = JSON.parse(atob("$answers"));
const tally = {};  // prompt -> [right, shown]
let now = 0;

function show() {
  if (now === pairs.length) return finish();
  const pair = pairs[now];
  document.getElementById("ask").textContent =
    `$${now + 1} of $${pairs.length}: "$${pair.prompt}". Click on the edited one, or press the left or right arrow.`;
  document.getElementById("pair").innerHTML =
    ["left", "right"].map(side => `<img src="$${pair[side]}" onclick="choose('$${side}')">`).join(" ");
}

function choose(side) {
  if (now === pairs.length) return;
  for (const name of [pairs[now].prompt, "all prompts"]) {
    const [right, shown] = tally[name] || [0, 0];
    tally[name] = [right + (answers[now] === side), shown + 1];
  }
  now += 1;
  show();
}

function interval(right, shown) {
  const z2 = 1.96 ** 2, middle = (right + z2 / 2) / (shown + z2);
  const half = 1.96 * Math.sqrt(right * (shown - right) / shown + z2 / 4) / (shown + z2);
  return [middle - half, middle + half].map(x => `$${Math.round(100 * x)} %`).join(" to ");
}

function finish() {
  document.getElementById("ask").textContent =
    "How often the edited picture was found. By guessing it is 50 %: that is what an edit that nobody can tell scores.";
  document.getElementById("pair").innerHTML =
    "<table><tr><th>prompt<th>found<th>wrong<th>95 % interval of the share found</tr>" +
    Object.entries(tally).map(([name, [right, shown]]) =>
      `<tr><td>$${name}<td>$${right}<td>$${shown - right}<td>$${interval(right, shown)}</tr>`).join("") + "</table>";
}

document.addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") choose("left");
  if (event.key === "ArrowRight") choose("right");
});
show();
</script>
</html>
""")


def write_test(folder: Path, pairs: list[Pair], cell: int) -> list[Path]:
    """Write index.html, pairs-01.png and so on, and answers.json into a folder; returns the files.

    cell: pixels of one picture on a sheet.
    """
    shown = [
        {"prompt": pair.prompt} | dict(zip(("left", "right"), map(data_address, pair.sides), strict=True))
        for pair in pairs
    ]
    answers = base64.b64encode(json.dumps([pair.edited_is for pair in pairs]).encode()).decode()
    page = PAGE.substitute(pairs=json.dumps(shown).replace("<", "\\u003c"), answers=answers)
    written = [write_text(folder / INDEX, page)]
    for start in range(0, len(pairs), ON_A_SHEET):
        part = pairs[start : start + ON_A_SHEET]
        labels = [f"{start + i + 1}: {pair.prompt}" for i, pair in enumerate(part)]
        sheet = pictures.sheet([pair.sides for pair in part], labels, ("left", "right"), cell)
        written.append(pictures.save_png(sheet, folder / f"pairs-{start // ON_A_SHEET + 1:02d}.png"))
    names = ("prompt", "edited_is", "natural_seed", "source_seed")
    records = [{"pair": i + 1} | {name: getattr(pair, name) for name in names} for i, pair in enumerate(pairs)]
    return [*written, write_text(folder / "answers.json", json.dumps(records, indent=1) + "\n")]


def data_address(image: Tensor) -> str:
    """A picture [3,s,s] as the data: address of a JPEG, which a page holds in itself."""
    data = pictures.encoded(pictures.to_picture(image), "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()
