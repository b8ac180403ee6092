"""What the audit says as a document: of the whole database (phase0), and of what is to be done (backlog)."""
