"""What happens on the way to an ad platform: workers that die, platforms that are down, slow, or let us in no longer."""

from __future__ import annotations

from tests.faults.by_tests import by_tests

by_tests(
    "worker-kill",
    injected="kill -9 of the process that sends conversions, a hundred times, mostly between sending and the answer",
    must="each conversion arrives once, with one order id; leases end; the ledger equals the platform's",
    tests=("tests/upkeep/test_killed_sender.py",),
    kills=100,
)

by_tests(
    "provider-down",
    injected="the platform does not answer, answers late, loses replies, answers 5xx and 429, refuses some of a batch",
    must="nothing is sent twice, nothing is lost; each row has its state; no loop; other sites go on",
    tests=(
        "tests/conversions/google/test_troubles.py", "tests/conversions/test_google_ads_troubles.py",
        "tests/conversions/google/test_through_the_worker.py",
    ),
)  # fmt: skip

by_tests(
    "provider-revoked",
    injected="consent is taken back at the platform; the account lets us in no longer; a token ends early",
    must="the site alone stops and says why; connected again it goes on; nothing is lost",
    tests=("tests/upkeep/test_google_ads_sending.py", "tests/upkeep/test_grants.py"),
)
