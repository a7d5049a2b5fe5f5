"""A device with a fingerprint reader, as Chromium plays one."""

from __future__ import annotations

from playwright.sync_api import Page


class Authenticator:
    """Plugged into one page; its owner touches it at once and is who they say, unless told otherwise."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self._id = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def recognise(self, recognised: bool) -> None:
        """Whether the finger that is shown is the owner's."""
        self._session.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": recognised})

    def credentials(self) -> list[dict]:
        return self._session.send("WebAuthn.getCredentials", {"authenticatorId": self._id})["credentials"]
