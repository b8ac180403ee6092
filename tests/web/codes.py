"""An authenticator: what people with a second factor have besides their browser."""

from __future__ import annotations

import re
import time

import pyotp

from tests.web.browsing import Browser

HERE = "/account/second-factor"


class Authenticator:
    """Somebody's app. ``code`` is each time one that was not used yet, as if 30 seconds had gone by."""

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret.replace(" ", ""))
        self._offs = iter((-1, 0, 1))

    def code(self) -> str:
        return self._totp.at(int(time.time()) + 30 * next(self._offs))

    def wrong(self) -> str:
        near = {self._totp.at(int(time.time()) + 30 * off) for off in range(-3, 4)}
        return next(
            code
            for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777")
            if code not in near
        )


async def set_up(browser: Browser) -> tuple[Authenticator, list[str]]:
    """Switch on the second factor of whoever is signed in here; their authenticator and their recovery codes."""
    assert (await browser.submit("/account", f"{HERE}/begin")).status_code == 303
    shown = await browser.get(HERE)
    secret = re.search(r"<code[^>]*>([A-Z2-7 ]{39})</code>", shown.text)
    assert secret, shown.text
    app = Authenticator(secret[1])
    answer = await browser.submit(HERE, f"{HERE}/confirm", code=app.code())
    assert answer.status_code == 200, answer.text
    codes = re.findall(r"<li><code>([A-Z2-7-]{29})</code>", answer.text)
    assert len(codes) == 10
    return app, codes
