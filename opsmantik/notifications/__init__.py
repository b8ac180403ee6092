"""Who of a site's people is told of new leads by mail, and when. The mails are sent by upkeep/notifying.py."""
