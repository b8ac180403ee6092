"""What brought a visitor, and what a tap was aimed at.

Enters: text that a browser sent (a page address, a referrer, a link).  Leaves: small frozen records.
Everything here is a pure function of its arguments: no database, no clock, no network, so a verdict can be
recomputed years later from the stored row and must come out the same.

click_ids   what a landing address says about the ad click
referrer    which kind of site a host is
channels    what the words in `utm_medium` and `utm_source` mean
rules       the rungs of the ladder, in order
source      the ladder: one verdict per visit, with the rule's name and its evidence
numbers     what any way to write a telephone number means
targets     which phone number or WhatsApp account a link leads to
"""
