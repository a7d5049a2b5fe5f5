"""Secrets of a development checkout: made once, kept outside the code, never used in production."""

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet


def read_or_make_secrets(path: Path) -> dict[str, str]:
    """Return {"SECRET_KEY", "PITHEAD_MASTER_KEYS"} from ``path``, writing the file (mode 0600) on first use."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        fresh = f"SECRET_KEY={secrets.token_urlsafe(50)}\nPITHEAD_MASTER_KEYS={Fernet.generate_key().decode()}\n"
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_text(fresh)
        try:
            # Parallel first starts must agree on one file: link() fails where somebody was faster.
            os.link(draft, path)
        except FileExistsError:
            pass  # theirs is as good as ours, and is read below
        finally:
            draft.unlink()
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
