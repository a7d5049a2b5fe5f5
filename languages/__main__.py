"""``make messages``: brings the catalogues up to date with the source, and compiles them."""

from __future__ import annotations

import os
import sys

import django


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("DEBUG", "True")
    django.setup()
    from languages import catalogue

    extracted = catalogue.extract_all()
    missing = 0
    for code, folder in catalogue.folders().items():
        translations = catalogue.read(folder, code)
        catalogue.update(translations, extracted)
        catalogue.write(translations, folder)
        lacking = catalogue.untranslated(translations)
        missing += len(lacking)
        print(f"{code}: {len(translations)} messages, {len(lacking)} without a translation")
        for message in lacking:
            print(f"  {message}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
