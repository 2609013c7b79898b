"""A page sealed with a passphrase into a page that opens itself in a browser: nothing of it is ever plain on disk.

1. AES-256-GCM under a key that PBKDF2-HMAC-SHA256 makes of the passphrase (600,000 rounds, 16 random bytes of salt). These are what every browser can do without a network. The context
   `casehaven-sealed-report/1` is authenticated, so that nothing else that was sealed with the passphrase opens as a report.
2. A passphrase of ours has 125 random bits: then nobody finds it by trying, whatever the rounds. One of a person's own has 12 characters at least, and is as strong as it is.
3. The page is filled up to whole steps of 64 KiB, so that its size says next to nothing.
4. The outer page loads nothing and runs one script, which its own policy names by digest. The script decrypts in memory and shows the page; printing or saving it is the reader's act.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casehaven.errors import CasehavenError
from casesynth.report.markup import Html, tag
from casesynth.report.style import STYLE

FORMAT: Final = b"casehaven-sealed-report/1"
ROUNDS: Final = 600_000
STEP: Final = 65_536
SHORTEST: Final = 12
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ0123456789"
_GROUPS = 5

SCRIPT = Html(
    """
"use strict";
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
document.getElementById("opening").addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = document.getElementById("said");
  said.textContent = "Opening…";
  const part = (name) => bytes(document.getElementById(name).textContent.trim());
  try {
    const entered = new TextEncoder().encode(document.getElementById("passphrase").value.trim());
    const base = await crypto.subtle.importKey("raw", entered, "PBKDF2", false, ["deriveKey"]);
    const how = { name: "PBKDF2", hash: "SHA-256", salt: part("salt"), iterations: ROUNDS };
    const key = await crypto.subtle.deriveKey(how, base, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
    const sealed = { name: "AES-GCM", iv: part("nonce"), additionalData: new TextEncoder().encode("FORMAT") };
    const plain = await crypto.subtle.decrypt(sealed, key, part("sealed"));
    const page = new DOMParser().parseFromString(new TextDecoder().decode(plain), "text/html");
    document.replaceChild(document.adoptNode(page.documentElement), document.documentElement);
  } catch {
    said.textContent = "It does not open with this passphrase, or the file was changed.";
  }
});
""".replace("ROUNDS", str(ROUNDS)).replace("FORMAT", FORMAT.decode())
)


class ReportPassphraseError(CasehavenError):
    """A passphrase that is too short to seal a report with."""


def new_passphrase() -> str:
    """Return a passphrase of 125 random bits, in groups that can be read out.

    >>> len(new_passphrase())
    29
    """
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(_GROUPS))


def check_passphrase(passphrase: str) -> str:
    """Return a passphrase without the white space around it.

    Raises:
        ReportPassphraseError: it has fewer than 12 characters.
    """
    given = passphrase.strip()
    if len(given) < SHORTEST:
        raise ReportPassphraseError(f"a passphrase for a report has {SHORTEST} characters or more")
    return given


def sealed_report(page: str, passphrase: str) -> str:
    """Return a page that holds another one sealed.

    Args:
        page: what is sealed.
        passphrase: opens it; white space around it does not count.

    Raises:
        ReportPassphraseError: the passphrase has fewer than 12 characters.
    """
    given = check_passphrase(passphrase)
    plain = page.encode()
    plain += b"\n" * (-len(plain) % STEP)
    salt, nonce = os.urandom(16), os.urandom(12)
    key = hashlib.pbkdf2_hmac("sha256", given.encode(), salt, ROUNDS, 32)
    sealed = AESGCM(key).encrypt(nonce, plain, FORMAT)
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    parts = (("salt", salt), ("nonce", nonce), ("sealed", sealed))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", "Sealed report"),
        tag(
            "style",
            Html(
                STYLE
                + "\n[hidden]{display:none}\ninput,button{font:inherit;padding:.4rem .6rem;margin:.3rem .5rem .3rem 0}"
            ),
        ),
    )
    form = tag(
        "form",
        tag("p", tag("label", "Passphrase", for_="passphrase")),
        Html('<input id="passphrase" type="password" autocomplete="off" size="34" required="">'),
        tag("button", "Open", type="submit"),
        tag("p", "", id="said", role="status"),
        id="opening",
    )
    body = tag(
        "body",
        tag(
            "main",
            tag("h1", "Sealed report"),
            tag(
                "p",
                "It opens here, in this browser's memory, and nowhere else. Do not save or print it where others may read.",
            ),
            form,
            *(tag("div", base64.b64encode(part).decode(), id=name, hidden="") for name, part in parts),
        ),
        tag("script", SCRIPT),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"
