"""Bring weights here, checked against pretrained_models/manifest.yaml; what is here already is not fetched again.

python scripts/download.py --list
python scripts/download.py --profile mobile
python scripts/download.py mobilestylegan-synthesis-bin scrfd --verify
python scripts/download.py --profile mobile --offline
"""

from __future__ import annotations

import argparse

from where2edit.commands.cli import run
from where2edit.files import assets
from where2edit.files.downloads import readable


def table(names: list[str]) -> str:
    """Name, size, where from, licence, and whether it is here."""
    rows = [("name", "size", "here", "from", "licence")]
    for name in names:
        entry = assets.entry(name)
        sources = ", ".join(source.label for source in entry.sources)
        rows.append((name, readable(entry.size), "yes" if assets.locate(name) else "no", sources, entry.licence))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]) for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names in the manifest; without any, everything is listed")
    parser.add_argument("--profile", help="every weight that a profile uses: mobile, ffhq, mobile_clip, toy")
    parser.add_argument("--list", action="store_true", help="only print the table")
    parser.add_argument("--offline", action="store_true", help="fetch nothing; say what is missing and what to do")
    parser.add_argument("--verify", action="store_true", help="compute the sha256 of files that are here once more")
    args = parser.parse_args()
    names = list(dict.fromkeys(args.names + (assets.profile_assets(args.profile) if args.profile else [])))
    if args.list or not (args.names or args.profile):
        print(table(names or list(assets.entries())))
        return 0
    if args.offline and assets.missing(names):
        raise ValueError(assets.missing(names))
    failures = []
    for name in names:
        try:
            print(f"{name}: {assets.fetch(name, offline=args.offline, verify=args.verify)}", flush=True)
        except assets.AssetError as error:
            failures.append(str(error))
    if failures:
        raise ValueError("\n".join(failures))
    return 0


if __name__ == "__main__":
    run(main)
