"""Write all files of vectors in docs/protocol/ anew: PYTHONPATH=service:tests python -m vectors"""

from __future__ import annotations

from vectors import files, making


def main() -> None:
    for page, make in making.MAKERS.items():
        path = files.path_of(page)
        there = files.load(page) if path.exists() else {}
        path.write_text(files.write(page, making.kept(page, make(), there)))
        print(path.name)


if __name__ == "__main__":
    main()
