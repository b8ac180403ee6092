"""People: accounts, passwords, sign-in, and the first administrator of an empty installation."""
