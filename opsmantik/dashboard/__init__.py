"""What the screens show. One card is three files of one name: what to ask, the question, the page."""
