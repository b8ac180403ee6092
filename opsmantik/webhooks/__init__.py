"""Messages to other programs about what happens on a site, signed by Standard Webhooks: their form, their signatures, when
they are tried again, and how they are kept. They are sent by upkeep/delivering.py."""
