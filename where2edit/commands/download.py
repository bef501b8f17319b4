"""Weights of the manifest: which there are, which are here, and fetching the others."""

from __future__ import annotations

import sys

from where2edit.commands.options import new_parser
from where2edit.core.sentences import one_sentence
from where2edit.files import assets, manifest
from where2edit.files.downloads import readable


def main(help_text: str) -> None:
    """Fetch what was named, or print the table. Raises ValueError when something could not be fetched."""
    parser = new_parser(help_text)
    parser.add_argument("names", nargs="*", help="names in the manifest; without any, everything is listed")
    parser.add_argument("--profile", help="every weight that a profile uses: mobile, ffhq, mobile_clip or toy")
    parser.add_argument("--list", action="store_true", help="only print the table")
    parser.add_argument("--offline", action="store_true", help="fetch nothing; say what is missing and what to do")
    parser.add_argument("--verify", action="store_true", help="compute the sha256 of files that are here once more")
    options = parser.parse_args()
    names = list(dict.fromkeys(options.names + (manifest.profile_assets(options.profile) if options.profile else [])))
    if options.list or not (options.names or options.profile):
        print(table(names or list(manifest.entries())))
        return
    if options.offline and assets.missing(names):
        raise ValueError(assets.missing(names))
    failures = {}
    for name in names:
        try:
            print(f"{name}: {assets.fetch(name, offline=options.offline, verify=options.verify)}", flush=True)
        except assets.AssetError as error:
            failures[name] = str(error)
    if len(failures) > 1:  # a line for each, then one for all
        print("\n".join(f"error: {one_sentence(said)}" for said in failures.values()), file=sys.stderr)
        raise ValueError(f"{len(failures)} of {len(names)} weights could not be fetched: {', '.join(failures)}")
    if failures:
        raise ValueError(failures.popitem()[1])


def table(names: list[str]) -> str:
    """Name, size, whether it is here, where it comes from, and licence: one line per weight."""
    rows = [("name", "size", "here", "from", "licence")]
    for name in names:
        entry = manifest.entry(name)
        sources = ", ".join(source.label for source in entry.sources)
        rows.append((name, readable(entry.size), "yes" if assets.locate(name) else "no", sources, entry.licence))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]) for row in rows)
